#pragma once

#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// a q^gamma c, averaged over outputs: c the binary cross entropy of the logit y, q = s (1 - t) +
// (1 - s) t the probability of the other class, s the sigmoid of y, a = alpha t + (1 - alpha)
// (1 - t), or 1 for a negative alpha.
struct binary_focal {
  static constexpr const char* name = "binary_focal";
  static constexpr const char* parameters = "gamma,alpha";
  static constexpr Targets targets = Targets::unit;

  template <class V>
  static V loss(V y, V t, const typename V::scalar* p) {
    const Parts<V> parts(y, t, p);
    return V::mul(parts.a, V::mul(parts.power, parts.c));
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar* p) {
    // q' = s (1 - s) (1 - 2t), c' = s - t. q^(gamma - 1) s (1 - s) is q^gamma times a ratio that is
    // at most 1 for t = 0 and 1, and taken for 0 where q is.
    const Parts<V> parts(y, t, p);
    const V zero = V::set1(0), one = V::set1(1);
    const V spread = V::mul(parts.s, parts.other_s);
    const V ratio = V::select(V::eq(parts.q, zero), zero, V::div(spread, parts.q));
    const V turn = V::mul(ratio, V::sub(one, V::add(t, t)));
    const V by_q = V::mul(V::set1(p[0]), V::mul(turn, parts.c));
    return V::mul(parts.a, V::mul(parts.power, V::add(parts.slope, by_q)));
  }

 private:
  template <class V>
  struct Parts {
    using T = typename V::scalar;
    V s, other_s, q, c, slope, power, a;

    Parts(V y, V t, const T* p) {
      const V zero = V::set1(0), one = V::set1(1);
      const typename V::Mask positive = V::gt(y, zero);
      const V size = V::abs(y);
      const V e = kernels::exp(V::sub(zero, size));
      const V small = kernels::sigmoid_of_negative(V::sub(zero, size));
      const V large = V::sub(one, small);
      s = V::select(positive, large, small);
      other_s = V::select(positive, small, large);
      const V other_t = V::sub(one, t);
      q = V::fma(s, other_t, V::mul(other_s, t));
      // As bce_with_logits has it.
      const V u = V::select(positive, other_t, t);
      c = V::fma(size, u, kernels::log1p(e));
      const V g = V::sub(small, u);
      slope = V::select(positive, V::sub(zero, g), g);
      power = p[0] == 0 ? one : kernels::exp(V::mul(V::set1(p[0]), kernels::log(q)));
      a = one;
      if (p[1] >= 0) {
        const V alpha = V::set1(p[1]);
        a = V::fma(alpha, t, V::mul(V::sub(one, alpha), other_t));
      }
    }
  };
};

}  // namespace
}  // namespace gd::kernels::formulas

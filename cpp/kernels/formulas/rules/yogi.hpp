#pragma once

#include "base/scalar_math.hpp"
#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// w -= lr weight_decay w
// m = b1 m + (1 - b1) g,  v = v - (1 - b2) sign(v - g^2) g^2, both from initial_accumulator_value
// on w -= lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps) Zaheer et al.: "Adaptive methods for
// nonconvex optimization", NeurIPS 2018.
struct yogi {
  static constexpr const char* name = "yogi";
  static constexpr const char* parameters =
      "lr,beta1,beta2,eps,initial_accumulator_value,weight_decay";
  enum { kLr, kBeta1, kBeta2, kEps, kInitial, kWeightDecay, kParameters };

  static constexpr int variants = 2;  // 1: an epsilon that is no guard against roots of nothing
  static constexpr int states_of(int) { return 2; }
  static int variant(const double* h) {
    return needs_least_root(h[kEps], 1.0 / __builtin_sqrt(1.0 - h[kBeta2])) ? 1 : 0;
  }

  enum { kRate, kShrink, kStart, kKeep1, kTake1, kTake2, kCorrect, kRootScale, kEpsilon, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    scalars[kRate] = -lr;
    scalars[kShrink] = 1.0 - lr * h[kWeightDecay];
    scalars[kStart] = h[kInitial];
    scalars[kKeep1] = h[kBeta1];
    scalars[kTake1] = 1.0 - h[kBeta1];
    scalars[kTake2] = 1.0 - h[kBeta2];
    scalars[kCorrect] = 1.0 / (1.0 - base::power(h[kBeta1], step));
    scalars[kRootScale] = 1.0 / __builtin_sqrt(1.0 - base::power(h[kBeta2], step));
    scalars[kEpsilon] = h[kEps];
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          shrink(V::set1(s[kShrink])),
          start(V::set1(s[kStart])),
          keep1(V::set1(s[kKeep1])),
          take1(V::set1(s[kTake1])),
          take2(V::set1(s[kTake2])),
          correct(V::set1(s[kCorrect])),
          root_scale(V::set1(s[kRootScale])),
          eps(V::set1(s[kEpsilon])) {}
    V rate, shrink, start, keep1, take1, take2, correct, root_scale, eps;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    V& m = state[0];
    V& v = state[1];
    const V zero = V::set1(0);
    const auto going = V::gt(v, zero);  // it never comes back to zero
    m = V::select(going, m, c.start);
    v = V::select(going, v, c.start);
    m = V::fma(c.keep1, m, V::mul(c.take1, g));
    const V square = V::mul(g, g);
    V share = V::select(V::lt(v, square), c.take2, zero);
    share = V::select(V::gt(v, square), V::sub(zero, c.take2), share);
    v = V::fma(share, square, v);
    const V mean = V::mul(m, c.correct);
    const V step = kernels::over_root < Variant == 1 > (mean, v, c.root_scale, c.eps);
    return V::fma(c.rate, step, V::mul(w, c.shrink));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "base/scalar_math.hpp"
#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w, or decoupled w -= lr weight_decay w
// m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
// R = 2 / (1 - b2) - 1,  p = R - 2 t b2^t / (1 - b2^t)
// p > 5: w -= lr m / (1 - b1^t) sqrt(1 - b2^t) / (sqrt(v) + eps)
//               sqrt((p - 4) (p - 2) R / ((R - 4) (R - 2) p)),  else w -= lr m / (1 - b1^t)
// Liu et al.: "On the variance of the adaptive learning rate and beyond", ICLR 2020.
struct radam {
  static constexpr const char* name = "radam";
  static constexpr const char* parameters =
      "lr,beta1,beta2,eps,weight_decay,decoupled_weight_decay";
  enum { kLr, kBeta1, kBeta2, kEps, kWeightDecay, kDecoupled, kParameters };

  static constexpr int variants = 2;  // 1: an epsilon that is no guard against roots of nothing
  static constexpr int states_of(int) { return 2; }
  static int variant(const double* h) { return needs_least_root(h[kEps]) ? 1 : 0; }

  // Where the root does not count, the denominator is 1: kOn (root) + kOff.
  enum {
    kRate,
    kDecay,
    kShrink,
    kKeep1,
    kTake1,
    kKeep2,
    kTake2,
    kCorrect,
    kOn,
    kOff,
    kEpsilon,
    kScalars
  };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    const double rest2 = base::power(h[kBeta2], step);
    const double most = 2.0 / (1.0 - h[kBeta2]) - 1.0;
    const double length = most - 2.0 * static_cast<double>(step) * rest2 / (1.0 - rest2);
    const bool rectified = length > 5.0;
    const double factor = rectified ? __builtin_sqrt((length - 4.0) * (length - 2.0) * most /
                                                     ((most - 4.0) * (most - 2.0) * length))
                                    : 1.0;
    const bool decoupled = h[kDecoupled] != 0;
    scalars[kRate] = -lr * factor;
    scalars[kDecay] = decoupled ? 0.0 : h[kWeightDecay];
    scalars[kShrink] = decoupled ? 1.0 - lr * h[kWeightDecay] : 1.0;
    scalars[kKeep1] = h[kBeta1];
    scalars[kTake1] = 1.0 - h[kBeta1];
    scalars[kKeep2] = h[kBeta2];
    scalars[kTake2] = 1.0 - h[kBeta2];
    // m's correction, with v's where that counts: eps is outside of it.
    scalars[kCorrect] =
        (rectified ? __builtin_sqrt(1.0 - rest2) : 1.0) / (1.0 - base::power(h[kBeta1], step));
    scalars[kOn] = rectified ? 1.0 : 0.0;
    scalars[kOff] = rectified ? 0.0 : 1.0;
    scalars[kEpsilon] = rectified ? h[kEps] : 0.0;
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          decay(V::set1(s[kDecay])),
          shrink(V::set1(s[kShrink])),
          keep1(V::set1(s[kKeep1])),
          take1(V::set1(s[kTake1])),
          keep2(V::set1(s[kKeep2])),
          take2(V::set1(s[kTake2])),
          correct(V::set1(s[kCorrect])),
          on(V::set1(s[kOn])),
          off(V::set1(s[kOff])),
          eps(V::set1(s[kEpsilon])) {}
    V rate, decay, shrink, keep1, take1, keep2, take2, correct, on, off, eps;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    g = V::fma(c.decay, w, g);
    w = V::mul(w, c.shrink);
    V& m = state[0];
    V& v = state[1];
    m = V::fma(c.keep1, m, V::mul(c.take1, g));
    v = V::fma(c.keep2, v, V::mul(V::mul(c.take2, g), g));
    const V mean = V::mul(m, c.correct);
    V root = V::sqrt(v);
    if constexpr (Variant == 1) root = kernels::root_of_mean(v, mean, V::set1(1));
    return V::fma(c.rate, V::div(mean, V::add(V::fma(c.on, root, c.off), c.eps)), w);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "base/scalar_math.hpp"
#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// w -= lr weight_decay w
// m = b1 m + (1 - b1) g,  s = b2 s + (1 - b2) (g - m)^2 + eps
// w -= lr / (1 - b1^t) m / (sqrt(s / (1 - b2^t)) + eps), with amsgrad the largest s so far
// Zhuang et al.: "AdaBelief optimizer: adapting stepsizes by the belief in observed gradients",
// NeurIPS 2020.
struct adabelief {
  static constexpr const char* name = "adabelief";
  static constexpr const char* parameters = "lr,beta1,beta2,eps,weight_decay,amsgrad";
  enum { kLr, kBeta1, kBeta2, kEps, kWeightDecay, kAmsgrad, kParameters };

  // Bit 0: amsgrad, bit 1: an epsilon that is no guard against roots of nothing. It is within the
  // root, too.
  static constexpr int variants = 4;
  static constexpr int states_of(int variant) { return 2 + (variant & 1); }
  static int variant(const double* h) {
    return (h[kAmsgrad] != 0 ? 1 : 0) + (h[kEps] < 1e-24 ? 2 : 0);
  }

  enum { kRate, kShrink, kKeep1, kTake1, kKeep2, kTake2, kCorrect, kRootScale, kEpsilon, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    scalars[kRate] = -lr;
    scalars[kShrink] = 1.0 - lr * h[kWeightDecay];
    scalars[kKeep1] = h[kBeta1];
    scalars[kTake1] = 1.0 - h[kBeta1];
    scalars[kKeep2] = h[kBeta2];
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
          keep1(V::set1(s[kKeep1])),
          take1(V::set1(s[kTake1])),
          keep2(V::set1(s[kKeep2])),
          take2(V::set1(s[kTake2])),
          correct(V::set1(s[kCorrect])),
          root_scale(V::set1(s[kRootScale])),
          eps(V::set1(s[kEpsilon])) {}
    V rate, shrink, keep1, take1, keep2, take2, correct, root_scale, eps;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    V& m = state[0];
    V& s = state[1];
    m = V::fma(c.keep1, m, V::mul(c.take1, g));
    const V off = V::sub(g, m);
    s = V::add(V::fma(c.keep2, s, V::mul(V::mul(c.take2, off), off)), c.eps);
    V largest = s;
    if constexpr ((Variant & 1) != 0) {
      state[2] = V::max(state[2], s);
      largest = state[2];
    }
    const V mean = V::mul(m, c.correct);
    const V step = kernels::over_root < (Variant & 2) != 0 > (mean, largest, c.root_scale, c.eps);
    return V::fma(c.rate, step, V::mul(w, c.shrink));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

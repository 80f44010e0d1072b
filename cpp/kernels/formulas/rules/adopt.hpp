#pragma once

#include "base/scalar_math.hpp"
#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w, or decoupled w -= lr weight_decay w
// t = 1: v = g^2, and that is all; else
// m = b1 m + (1 - b1) clamp(g / max(sqrt(v), eps), -c, c) with c = (t - 1)^(1/4)
// w -= lr m;  v = b2 v + (1 - b2) g^2
// Taniguchi et al.: "ADOPT: modified Adam can converge with any beta2 with the optimal rate",
// NeurIPS 2024, with the clamp as the paper and optax count it.
struct adopt {
  static constexpr const char* name = "adopt";
  static constexpr const char* parameters =
      "lr,beta1,beta2,eps,weight_decay,decoupled_weight_decay";
  enum { kLr, kBeta1, kBeta2, kEps, kWeightDecay, kDecoupled, kParameters };

  static constexpr int variants = 1;  // what vanishes in a root ends at c
  static constexpr int states_of(int) { return 2; }
  static int variant(const double*) { return 0; }

  enum { kRate, kDecay, kShrink, kKeep1, kTake1, kKeep2, kTake2, kMost, kEpsilon, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    const bool decoupled = h[kDecoupled] != 0;
    const bool first = step == 1;
    scalars[kRate] = -lr;
    scalars[kDecay] = decoupled ? 0.0 : h[kWeightDecay];
    scalars[kShrink] = decoupled ? 1.0 - lr * h[kWeightDecay] : 1.0;
    scalars[kKeep1] = h[kBeta1];
    scalars[kTake1] = first ? 0.0 : 1.0 - h[kBeta1];
    scalars[kKeep2] = first ? 0.0 : h[kBeta2];
    scalars[kTake2] = first ? 1.0 : 1.0 - h[kBeta2];
    scalars[kMost] = __builtin_sqrt(__builtin_sqrt(static_cast<double>(step - 1)));
    scalars[kEpsilon] = h[kEps];
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
          most(V::set1(s[kMost])),
          least(V::max(V::set1(s[kEpsilon]), V::set1(Constants<V>::kMinNormal))) {}
    V rate, decay, shrink, keep1, take1, keep2, take2, most, least;
  };

  template <class V, int>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    g = V::fma(c.decay, w, g);
    w = V::mul(w, c.shrink);
    V& m = state[0];
    V& v = state[1];
    V scaled = V::div(g, V::max(V::sqrt(v), c.least));
    scaled = V::min(V::max(scaled, V::sub(V::set1(0), c.most)), c.most);
    m = V::fma(c.keep1, m, V::mul(c.take1, scaled));
    v = V::fma(c.keep2, v, V::mul(V::mul(c.take2, g), g));
    return V::fma(c.rate, m, w);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

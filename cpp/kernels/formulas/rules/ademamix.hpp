#pragma once

#include "base/scalar_math.hpp"
#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// w -= lr weight_decay w
// m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  n = b3 n + (1 - b3) g
// w -= lr (m / (1 - b1^t) + alpha n) / (sqrt(v / (1 - b2^t)) + eps)
// Over the first T = t_alpha_beta3 steps alpha grows from 0 and b3 from b1, with x = t / T:
// alpha x, and exp(log b1 log b3 / ((1 - x) log b3 + x log b1)).
// Pagliardini, Ablin, Grangier: "The AdEMAMix optimizer: better, faster, older", ICLR 2025.
struct ademamix {
  static constexpr const char* name = "ademamix";
  static constexpr const char* parameters =
      "lr,beta1,beta2,beta3,eps,weight_decay,alpha,t_alpha_beta3";
  enum { kLr, kBeta1, kBeta2, kBeta3, kEps, kWeightDecay, kAlpha, kWarmup, kParameters };

  static constexpr int variants = 2;  // 1: an epsilon that is no guard against roots of nothing
  static constexpr int states_of(int) { return 3; }
  static int variant(const double* h) {
    return needs_least_root(h[kEps], 1.0 / __builtin_sqrt(1.0 - h[kBeta2])) ? 1 : 0;
  }

  enum {
    kRate,
    kShrink,
    kKeep1,
    kTake1,
    kKeep2,
    kTake2,
    kKeep3,
    kTake3,
    kOfM,
    kOfN,
    kRootScale,
    kEpsilon,
    kScalars
  };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    double slow = h[kBeta3];
    double alpha = h[kAlpha];
    if (h[kWarmup] > 0) {
      const double done = static_cast<double>(step) / h[kWarmup];
      const double share = done < 1.0 ? done : 1.0;
      alpha *= share;
      const double log1 = base::log(h[kBeta1] > 0x1p-1000 ? h[kBeta1] : 0x1p-1000);
      const double log3 = base::log(slow > 0x1p-1000 ? slow : 0x1p-1000);
      const double now = base::exp(log1 * log3 / ((1.0 - share) * log3 + share * log1));
      if (now < slow) slow = now;
    }
    scalars[kRate] = -lr;
    scalars[kShrink] = 1.0 - lr * h[kWeightDecay];
    scalars[kKeep1] = h[kBeta1];
    scalars[kTake1] = 1.0 - h[kBeta1];
    scalars[kKeep2] = h[kBeta2];
    scalars[kTake2] = 1.0 - h[kBeta2];
    scalars[kKeep3] = slow;
    scalars[kTake3] = 1.0 - slow;
    scalars[kOfM] = 1.0 / (1.0 - base::power(h[kBeta1], step));
    scalars[kOfN] = alpha;
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
          keep3(V::set1(s[kKeep3])),
          take3(V::set1(s[kTake3])),
          of_m(V::set1(s[kOfM])),
          of_n(V::set1(s[kOfN])),
          root_scale(V::set1(s[kRootScale])),
          eps(V::set1(s[kEpsilon])) {}
    V rate, shrink, keep1, take1, keep2, take2, keep3, take3, of_m, of_n, root_scale, eps;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    V& m = state[0];
    V& v = state[1];
    V& n = state[2];
    m = V::fma(c.keep1, m, V::mul(c.take1, g));
    v = V::fma(c.keep2, v, V::mul(V::mul(c.take2, g), g));
    n = V::fma(c.keep3, n, V::mul(c.take3, g));
    const V both = V::fma(c.of_m, m, V::mul(c.of_n, n));
    const V step = kernels::over_root < Variant == 1 > (both, v, c.root_scale, c.eps);
    return V::fma(c.rate, step, V::mul(w, c.shrink));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "base/scalar_math.hpp"
#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// d = g - g of the step before, 0 in the first
// m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) d,  n = b3 n + (1 - b3) (g + b2 d)^2
// w -= lr (m / (1 - b1^t) + b2 v / (1 - b2^t)) / (sqrt(n / (1 - b3^t)) + eps)
// w /= 1 + lr weight_decay, or with no_prox w -= lr weight_decay w before
// Xie et al.: "Adan: adaptive Nesterov momentum algorithm for faster optimizing deep models",
// arXiv:2208.06677; the betas are as in their code, 1 less those of the paper.
struct adan {
  static constexpr const char* name = "adan";
  static constexpr const char* parameters = "lr,beta1,beta2,beta3,eps,weight_decay,no_prox";
  enum { kLr, kBeta1, kBeta2, kBeta3, kEps, kWeightDecay, kNoProx, kParameters };

  static constexpr int variants = 2;  // 1: an epsilon that is no guard against roots of nothing
  static constexpr int states_of(int) { return 4; }
  static int variant(const double* h) {
    return needs_least_root(h[kEps], 1.0 / __builtin_sqrt(1.0 - h[kBeta3])) ? 1 : 0;
  }

  enum {
    kRate,
    kShrink,
    kShrinkAfter,
    kDiffers,
    kKeep1,
    kTake1,
    kKeep2,
    kTake2,
    kKeep3,
    kTake3,
    kOfM,
    kOfV,
    kRootScale,
    kEpsilon,
    kScalars
  };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    const bool before = h[kNoProx] != 0;
    scalars[kRate] = -lr;
    scalars[kShrink] = before ? 1.0 - lr * h[kWeightDecay] : 1.0;
    scalars[kShrinkAfter] = before ? 1.0 : 1.0 / (1.0 + lr * h[kWeightDecay]);
    scalars[kDiffers] = step == 1 ? 0.0 : 1.0;
    scalars[kKeep1] = h[kBeta1];
    scalars[kTake1] = 1.0 - h[kBeta1];
    scalars[kKeep2] = h[kBeta2];
    scalars[kTake2] = 1.0 - h[kBeta2];
    scalars[kKeep3] = h[kBeta3];
    scalars[kTake3] = 1.0 - h[kBeta3];
    scalars[kOfM] = 1.0 / (1.0 - base::power(h[kBeta1], step));
    scalars[kOfV] = h[kBeta2] / (1.0 - base::power(h[kBeta2], step));
    scalars[kRootScale] = 1.0 / __builtin_sqrt(1.0 - base::power(h[kBeta3], step));
    scalars[kEpsilon] = h[kEps];
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          shrink(V::set1(s[kShrink])),
          shrink_after(V::set1(s[kShrinkAfter])),
          differs(V::set1(s[kDiffers])),
          keep1(V::set1(s[kKeep1])),
          take1(V::set1(s[kTake1])),
          keep2(V::set1(s[kKeep2])),
          take2(V::set1(s[kTake2])),
          keep3(V::set1(s[kKeep3])),
          take3(V::set1(s[kTake3])),
          of_m(V::set1(s[kOfM])),
          of_v(V::set1(s[kOfV])),
          root_scale(V::set1(s[kRootScale])),
          eps(V::set1(s[kEpsilon])) {}
    V rate, shrink, shrink_after, differs, keep1, take1, keep2, take2, keep3, take3, of_m, of_v;
    V root_scale, eps;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    V& m = state[0];
    V& v = state[1];
    V& n = state[2];
    const V difference = V::mul(c.differs, V::sub(g, state[3]));
    state[3] = g;
    m = V::fma(c.keep1, m, V::mul(c.take1, g));
    v = V::fma(c.keep2, v, V::mul(c.take2, difference));
    const V ahead = V::fma(c.keep2, difference, g);
    n = V::fma(c.keep3, n, V::mul(V::mul(c.take3, ahead), ahead));
    const V both = V::fma(c.of_m, m, V::mul(c.of_v, v));
    const V step = kernels::over_root < Variant == 1 > (both, n, c.root_scale, c.eps);
    return V::mul(V::fma(c.rate, step, V::mul(w, c.shrink)), c.shrink_after);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

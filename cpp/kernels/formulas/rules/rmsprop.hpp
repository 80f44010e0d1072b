#pragma once

#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w;  v = alpha v + (1 - alpha) g^2
// d = g / (sqrt(v) + eps), or centered, with m = alpha m + (1 - alpha) g, g / (sqrt(v - m^2) + eps)
// w -= lr d, or with momentum b = momentum b + d, w -= lr b
// Tieleman, Hinton: "Lecture 6.5 - RMSProp", 2012; centered: Graves, arXiv:1308.0850.
struct rmsprop {
  static constexpr const char* name = "rmsprop";
  static constexpr const char* parameters = "lr,alpha,eps,weight_decay,momentum,centered";
  enum { kLr, kAlpha, kEps, kWeightDecay, kMomentum, kCentered, kParameters };

  // Bit 0: momentum, bit 1: centered, bit 2: an epsilon that is no guard against roots of nothing.
  static constexpr int variants = 8;
  static constexpr int states_of(int variant) { return 1 + (variant & 1) + (variant >> 1 & 1); }
  static int variant(const double* h) {
    return (h[kMomentum] != 0 ? 1 : 0) + (h[kCentered] != 0 ? 2 : 0) +
           (needs_least_root(h[kEps]) ? 4 : 0);
  }

  enum { kRate, kDecay, kKeep, kTake, kEpsilon, kMu, kShare, kScalars };
  static void prepare(const double* h, double lr, int64_t, double* scalars) {
    scalars[kRate] = -lr;
    scalars[kDecay] = h[kWeightDecay];
    scalars[kKeep] = h[kAlpha];
    scalars[kTake] = 1.0 - h[kAlpha];
    scalars[kEpsilon] = h[kEps];
    scalars[kMu] = h[kMomentum];
    // Of a root: v - m^2 is no less than (1 - alpha) g^2, less the square of (1 - alpha) g.
    scalars[kShare] = __builtin_sqrt((1.0 - h[kAlpha]) * (h[kCentered] == 0 ? 1.0 : h[kAlpha]));
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          decay(V::set1(s[kDecay])),
          keep(V::set1(s[kKeep])),
          take(V::set1(s[kTake])),
          eps(V::set1(s[kEpsilon])),
          mu(V::set1(s[kMu])),
          share(V::set1(s[kShare])) {}
    V rate, decay, keep, take, eps, mu, share;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    constexpr bool momentum = (Variant & 1) != 0;
    constexpr bool centered = (Variant & 2) != 0;
    g = V::fma(c.decay, w, g);
    V& v = state[0];
    v = V::fma(c.keep, v, V::mul(V::mul(c.take, g), g));
    V spread = v;
    if constexpr (centered) {
      V& mean = state[1 + momentum];
      mean = V::fma(c.keep, mean, V::mul(c.take, g));
      // Rounding must not take it below zero, where the root is not a number.
      spread = V::max(V::fma(V::sub(V::set1(0), mean), mean, v), V::set1(0));
    }
    V root = V::sqrt(spread);
    // A difference may also be nothing but rounding.
    if constexpr (centered || (Variant & 4) != 0) {
      root = kernels::root_of_mean(spread, g, c.share);
    }
    V d = V::div(g, V::add(root, c.eps));
    if constexpr (momentum) {
      state[1] = V::fma(c.mu, state[1], d);
      d = state[1];
    }
    return V::fma(c.rate, d, w);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w; without momentum w -= lr g; with it (mu, dampening tau)
//   b = mu b + (1 - tau) g   (b = g in the first step)
//   w -= lr b, or with Nesterov's form w -= lr (g + mu b)
struct sgd {
  static constexpr const char* name = "sgd";
  static constexpr const char* parameters = "lr,momentum,dampening,weight_decay,nesterov";
  enum { kLr, kMomentum, kDampening, kWeightDecay, kNesterov, kParameters };

  static constexpr int variants = 3;  // plain, momentum, Nesterov
  static constexpr int states_of(int variant) { return variant == 0 ? 0 : 1; }
  static int variant(const double* h) { return h[kMomentum] == 0 ? 0 : h[kNesterov] == 0 ? 1 : 2; }

  enum { kRate, kDecay, kMu, kTake, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    scalars[kRate] = -lr;
    scalars[kDecay] = h[kWeightDecay];
    scalars[kMu] = h[kMomentum];
    scalars[kTake] = step == 1 ? 1.0 : 1.0 - h[kDampening];
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          decay(V::set1(s[kDecay])),
          mu(V::set1(s[kMu])),
          take(V::set1(s[kTake])) {}
    V rate, decay, mu, take;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    g = V::fma(c.decay, w, g);
    if constexpr (Variant > 0) {
      state[0] = V::fma(c.mu, state[0], V::mul(c.take, g));
      g = Variant == 1 ? state[0] : V::fma(c.mu, state[0], g);
    }
    return V::fma(c.rate, g, w);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

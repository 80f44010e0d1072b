#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w;  v = rho v + (1 - rho) g^2
// d = sqrt(u + eps) / sqrt(v + eps) g;  u = rho u + (1 - rho) d^2;  w -= lr d
// Zeiler: "ADADELTA: an adaptive learning rate method", arXiv:1212.5701.
struct adadelta {
  static constexpr const char* name = "adadelta";
  static constexpr const char* parameters = "lr,rho,eps,weight_decay";
  enum { kLr, kRho, kEps, kWeightDecay, kParameters };

  static constexpr int variants = 1;
  static constexpr int states_of(int) { return 2; }
  static int variant(const double*) { return 0; }

  enum { kRate, kDecay, kKeep, kTake, kEpsilon, kScalars };
  static void prepare(const double* h, double lr, int64_t, double* scalars) {
    scalars[kRate] = -lr;
    scalars[kDecay] = h[kWeightDecay];
    scalars[kKeep] = h[kRho];
    scalars[kTake] = 1.0 - h[kRho];
    scalars[kEpsilon] = h[kEps];
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          decay(V::set1(s[kDecay])),
          keep(V::set1(s[kKeep])),
          take(V::set1(s[kTake])),
          eps(V::set1(s[kEpsilon])) {}
    V rate, decay, keep, take, eps;
  };

  template <class V, int>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    g = V::fma(c.decay, w, g);
    V& v = state[0];
    V& u = state[1];
    v = V::fma(c.keep, v, V::mul(V::mul(c.take, g), g));
    const V root = V::sqrt(V::div(V::add(u, c.eps), V::add(v, c.eps)));
    const V d = V::mul(root, g);
    u = V::fma(c.keep, u, V::mul(V::mul(c.take, d), d));
    return V::fma(c.rate, d, w);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

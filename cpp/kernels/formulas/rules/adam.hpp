#pragma once

#include "base/scalar_math.hpp"
#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w
// m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
// w -= lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps), with amsgrad the largest v so far
// With a tiny epsilon, where v is denormal and m is not, v / (1 - b2^t) is the square of m / (1 -
// b1^t), no less. Kingma, Ba: "Adam: A method for stochastic optimization", ICLR 2015; Reddi, Kale,
// Kumar: "On the convergence of Adam and beyond", ICLR 2018.
struct adam {
  static constexpr const char* name = "adam";
  static constexpr const char* parameters = "lr,beta1,beta2,eps,weight_decay,amsgrad";
  enum { kLr, kBeta1, kBeta2, kEps, kWeightDecay, kAmsgrad, kParameters };

  // Bit 0: amsgrad, bit 1: an epsilon that is no guard against roots of nothing.
  static constexpr int variants = 4;
  static constexpr int states_of(int variant) { return 2 + (variant & 1); }
  static int variant(const double* h) {
    const double root_scale = 1.0 / __builtin_sqrt(1.0 - h[kBeta2]);  // of the first step
    return (h[kAmsgrad] != 0 ? 1 : 0) + (needs_least_root(h[kEps], root_scale) ? 2 : 0);
  }

  enum { kRate, kDecay, kKeep1, kTake1, kKeep2, kTake2, kRootScale, kEpsilon, kShare, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    const double weights = 1.0 - base::power(h[kBeta1], step);  // of m
    scalars[kRate] = -lr / weights;
    scalars[kDecay] = h[kWeightDecay];
    scalars[kKeep1] = h[kBeta1];
    scalars[kTake1] = 1.0 - h[kBeta1];
    scalars[kKeep2] = h[kBeta2];
    scalars[kTake2] = 1.0 - h[kBeta2];
    scalars[kRootScale] = 1.0 / __builtin_sqrt(1.0 - base::power(h[kBeta2], step));
    scalars[kEpsilon] = h[kEps];
    scalars[kShare] = 1.0 / (weights * scalars[kRootScale]);
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          decay(V::set1(s[kDecay])),
          keep1(V::set1(s[kKeep1])),
          take1(V::set1(s[kTake1])),
          keep2(V::set1(s[kKeep2])),
          take2(V::set1(s[kTake2])),
          root_scale(V::set1(s[kRootScale])),
          eps(V::set1(s[kEpsilon])),
          share(V::set1(s[kShare])) {}
    V rate, decay, keep1, take1, keep2, take2, root_scale, eps, share;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    return descend<V, Variant>(w, V::fma(c.decay, w, g), state, c);
  }

  // What follows weight decay, of whichever kind.
  template <class V, int Variant>
  static V descend(V w, V g, V* state, const Scalars<V>& c) {
    V& m = state[0];
    V& v = state[1];
    m = V::fma(c.keep1, m, V::mul(c.take1, g));
    v = V::fma(c.keep2, v, V::mul(V::mul(c.take2, g), g));
    V largest = v;
    if constexpr ((Variant & 1) != 0) {
      state[2] = V::max(state[2], v);
      largest = state[2];
    }
    V root = V::sqrt(largest);
    if constexpr ((Variant & 2) != 0) root = kernels::root_of_mean(largest, m, c.share);
    root = V::fma(root, c.root_scale, c.eps);
    return V::fma(c.rate, V::div(m, root), w);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

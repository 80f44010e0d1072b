#pragma once

#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w;  s += g^2;  w -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)
// Duchi, Hazan, Singer: "Adaptive subgradient methods for online learning and stochastic
// optimization", JMLR 12, 2011.
struct adagrad {
  static constexpr const char* name = "adagrad";
  static constexpr const char* parameters =
      "lr,lr_decay,weight_decay,initial_accumulator_value,eps";
  enum { kLr, kLrDecay, kWeightDecay, kInitial, kEps, kParameters };

  static constexpr int variants = 2;  // 1: an epsilon that is no guard against roots of nothing
  static constexpr int states_of(int) { return 1; }
  static int variant(const double* h) { return needs_least_root(h[kEps]) ? 1 : 0; }

  enum { kRate, kDecay, kStart, kEpsilon, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    scalars[kRate] = -lr / (1.0 + static_cast<double>(step - 1) * h[kLrDecay]);
    scalars[kDecay] = h[kWeightDecay];
    scalars[kStart] = step == 1 ? h[kInitial] : 0.0;  // states begin at zero
    scalars[kEpsilon] = h[kEps];
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          decay(V::set1(s[kDecay])),
          start(V::set1(s[kStart])),
          eps(V::set1(s[kEpsilon])) {}
    V rate, decay, start, eps;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    g = V::fma(c.decay, w, g);
    V& sum = state[0];
    sum = V::fma(g, g, V::add(sum, c.start));
    V root = V::sqrt(sum);
    if constexpr (Variant == 1) root = kernels::root_of_mean(sum, g, V::set1(1));
    return V::fma(c.rate, V::div(g, V::add(root, c.eps)), w);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

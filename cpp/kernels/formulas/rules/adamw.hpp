#pragma once

#include "kernels/formulas/rules/adam.hpp"

namespace gd::kernels::formulas {
namespace {

// w -= lr weight_decay w, then Adam without its own weight decay.
// Loshchilov, Hutter: "Decoupled weight decay regularization", ICLR 2019.
struct adamw {
  static constexpr const char* name = "adamw";
  static constexpr const char* parameters = adam::parameters;
  static constexpr int kParameters = adam::kParameters, kScalars = adam::kScalars;

  static constexpr int variants = adam::variants;
  static constexpr int states_of(int variant) { return adam::states_of(variant); }
  static int variant(const double* h) { return adam::variant(h); }

  // Adam's scalars, with the factor that weights shrink by in the place of its decay.
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    adam::prepare(h, lr, step, scalars);
    scalars[adam::kDecay] = 1.0 - lr * h[adam::kWeightDecay];
  }

  template <class V>
  using Scalars = adam::Scalars<V>;

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    return adam::descend<V, Variant>(V::mul(w, c.decay), g, state, c);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

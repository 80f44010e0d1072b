#pragma once

#include "layers/ensemble_parts.hpp"

namespace gd::layers {

// y = x w for each member of an ensemble, with factors of its own: what parts the members of
// TabM-mini.
// Gorishniy, Kotelnikov, Babenko: "TabM: advancing tabular deep learning with parameter-efficient
// ensembling", ICLR 2025.
struct ensemble_scale {
  static constexpr const char* name = "ensemble_scale";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    const nn::LayerSpec& spec = node.spec;
    node.members = members_of(inputs, spec);
    const int64_t width = inputs.width() / inputs.count();
    node.width = width_of(spec, width, node.members);
    node.entries.push_back(factors_of(spec, "weight", node.members, width,
                                      first_init(inputs, spec, "init"), chunks_of(spec)));
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ValueId y = b.value(b.width());
    b.add(factors_step<T>(b, factors(b), plan::Zone::kForward, b.input(), y));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    factors_backward<T>(b, factors(b), b.gradient_of(b.output()));
  }

 private:
  template <class T>
  static Factors factors(const plan::Builder<T>& b) {
    return {b.parameter("weight")->offset, b.members(), b.width() / b.members(),
            b.input_members() == 1};
  }
};

}  // namespace gd::layers

#pragma once

#include "layers/layer.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// y = (x_0, x_1, ...), side by side.
struct concat {
  static constexpr const char* name = "concat";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    using base::require;
    require<base::ValueError>(inputs.widths.size() >= 2, "layer '", node.spec.name,
                              "' joins at least 2 values, got ", inputs.widths.size());
    for (const int64_t width : inputs.widths) {
      require<base::ValueError>(!__builtin_add_overflow(node.width, width, &node.width),
                                "the output of layer '", node.spec.name,
                                "' is wider than can be addressed");
    }
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ValueId joined = b.value(b.width());
    int64_t at = 0;
    for (size_t i = 0; i < b.inputs(); at += b.input_width(i++)) {
      b.add(plan::copy_columns_step<T>(plan::Zone::kForward, b.node(), {b.input(i), 0},
                                       {joined, at}, b.input_width(i)));
    }
    b.set_output(joined);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::ValueId gradient = b.gradient_of(b.output());
    int64_t at = 0;
    for (size_t i = 0; i < b.inputs(); at += b.input_width(i++)) {
      if (!b.wants_gradient(i)) continue;
      b.give_gradient(i, [&](plan::ValueId to) {
        b.add(plan::copy_columns_step<T>(plan::Zone::kBackward, b.node(), {gradient, at}, {to, 0},
                                         b.input_width(i)));
      });
    }
  }
};

}  // namespace gd::layers

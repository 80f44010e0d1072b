#pragma once

#include <algorithm>

#include "layers/layer.hpp"
#include "plan/operations/pointwise.hpp"
#include "plan/operations/tangents.hpp"

namespace gd::layers {

// y = x_0 + x_1 + ..., in this order.
struct add {
  static constexpr const char* name = "add";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    using base::require;
    require<base::ValueError>(inputs.widths.size() >= 2, "layer '", node.spec.name,
                              "' adds at least 2 values, got ", inputs.widths.size());
    for (const int64_t width : inputs.widths) {
      require<base::ValueError>(width == inputs.width(), "layer '", node.spec.name,
                                "' adds values of one width, got ", inputs.width(), " and ", width,
                                ": a shortcut may change it");
    }
    node.width = inputs.width();
    node.members = inputs.count();
    for (const int64_t members : inputs.members) {
      require<base::ValueError>(members == node.members, "layer '", node.spec.name,
                                "' adds values of as many members, got ", node.members, " and ",
                                members);
    }
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    plan::ValueId sum = b.input(0);
    for (size_t i = 1; i < b.inputs(); ++i) {
      const plan::ValueId next = b.value(b.width(), i > 1 ? sum : b.input(i));
      b.add(plan::sum_step<T>(b.node(), sum, b.input(i), next));
      sum = next;
    }
    b.set_output(sum);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::ValueId gradient = b.gradient_of(b.output());
    // All but the last get a copy; the last may change the gradient itself.
    for (size_t i = 0; i + 1 < b.inputs(); ++i) {
      if (!b.wants_gradient(i)) continue;
      b.give_gradient(i,
                      [&](plan::ValueId to) { b.add(plan::copy_step<T>(b.node(), gradient, to)); });
    }
    const size_t last = b.inputs() - 1;
    if (b.wants_gradient(last)) b.pass_gradient(last, gradient);
  }

  // Of sums the derivatives are sums.
  template <class T>
  static void forward_tangents(plan::Builder<T>& b) {
    plan::ValueId sum = plan::input_with_tangents(b);
    for (size_t i = 1; i < b.inputs(); ++i) {
      const plan::ValueId next = plan::value_with_tangents(b, b.width());
      b.add(plan::sum_step<T>(b.node(), sum, plan::input_with_tangents(b, i), next));
      sum = next;
    }
    b.set_output(sum);
  }

  template <class T>
  static void backward_tangents(plan::Builder<T>& b) {
    backward(b);
  }
};

}  // namespace gd::layers

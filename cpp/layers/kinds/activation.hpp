#pragma once

#include "layers/layer.hpp"
#include "plan/operations/tangents.hpp"

namespace gd::layers {

// y = f(x), an activation behind any layer.
struct activation {
  static constexpr const char* name = "activation";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    activation_of<T>(node.spec);
    node.width = inputs.width();
    node.members = inputs.count();
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    b.set_output(b.activate(activation_of<T>(b.spec()), b.input()));
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::ValueId gradient = b.gradient_of(b.output());
    b.activate_backward(activation_of<T>(b.spec()), b.input(), b.output(), gradient);
    if (b.wants_gradient()) b.pass_gradient(0, gradient);
  }

  template <class T>
  static void forward_tangents(plan::Builder<T>& b) {
    const plan::ValueId z = plan::input_with_tangents(b);
    b.set_output(
        plan::activate_with_tangents(b, activation_of<T>(b.spec()), z, b.width(), int64_t{-1}));
  }

  template <class T>
  static void backward_tangents(plan::Builder<T>& b) {
    const plan::ValueId gradient = b.gradient_of(b.output());
    plan::activate_backward_with_tangents(b, activation_of<T>(b.spec()), b.input(), b.output(),
                                          gradient, b.width());
    if (b.wants_gradient()) b.pass_gradient(0, gradient);
  }
};

}  // namespace gd::layers

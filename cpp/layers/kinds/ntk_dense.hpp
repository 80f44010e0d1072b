#pragma once

#include <cmath>

#include "layers/kinds/dense.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// y = f(x W^T / sqrt(inputs) + b): a dense layer whose weights start at a spread of 1 whatever the
// number of inputs.
// Jacot, Gabriel, Hongler: "Neural tangent kernel: convergence and generalization in neural
// networks", NeurIPS 2018.
struct ntk_dense {
  static constexpr const char* name = "ntk_dense";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    dense::infer<T>(inputs, node);
    check_alone(inputs, node);
    // The initializer is that of what acts, W / sqrt(inputs).
    nn::EntrySpec& weight = node.entries.front();
    weight.start = [initializer = weight.initializer, inputs_ = weight.fan_in,
                    units = weight.fan_out](base::RandomStream& random, std::span<const double>,
                                            std::span<double> own) {
      nn::initialize<double>(initializer, inputs_, units, random, own);
      for (double& value : own) value *= std::sqrt(static_cast<double>(inputs_));
    };
  }

  // Not a dense layer of each member.
  static void check_alone(const Inputs& inputs, nn::Node& node) {
    base::require<base::ValueError>(inputs.count() == 1, "layer '", node.spec.name, "' of kind '",
                                    node.spec.kind, "' cannot stand behind the ", inputs.count(),
                                    " members of an ensemble");
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::DenseShape shape = dense::shape_of(b);
    plan::cover_products(b, shape);
    const plan::ValueId scaled = b.value(b.input_width()), z = b.value(b.width());
    b.keep("scaled", scaled);
    b.keep("z", z);
    b.add(scale_step<T>(b, plan::Zone::kForward, b.input(), scaled));
    b.add(plan::dense_forward_step<T>(b, shape, scaled, z));
    b.set_output(b.activate(activation_of<T>(b.spec()), z));
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::DenseShape shape = dense::shape_of(b);
    const plan::ValueId delta = b.gradient_of(b.output());
    b.activate_backward(activation_of<T>(b.spec()), b.kept("z"), b.output(), delta);
    if (b.wants_gradient()) {
      b.give_gradient(0, [&](plan::ValueId to) {
        b.add(plan::input_gradient_step<T>(b, shape, delta, to));
        b.add(scale_step<T>(b, plan::Zone::kBackward, to, to));
      });
    }
    b.add(plan::weight_gradient_step<T>(b, shape, b.kept("scaled"), delta));
    if (shape.bias >= 0) b.add(plan::column_sum_step<T>(b, delta, shape.bias));
  }

 private:
  template <class T>
  static plan::Step<T> scale_step(const plan::Builder<T>& b, plan::Zone phase, plan::ValueId from,
                                  plan::ValueId to) {
    plan::Pointwise<T> by{plan::Pointwise<T>::Kind::scale, from, to};
    by.factor = static_cast<T>(1 / std::sqrt(static_cast<double>(b.input_width())));
    const auto zone = phase == plan::Zone::kForward ? plan::Zone::kActivationForward
                                                    : plan::Zone::kActivationBackward;
    return plan::pointwise_step<T>(zone, phase, b.node(), by);
  }
};

}  // namespace gd::layers

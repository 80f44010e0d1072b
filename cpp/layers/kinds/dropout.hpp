#pragma once

#include <algorithm>
#include <cmath>

#include "layers/layer.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// In training y = 0 with probability rate, else x / (1 - rate); elsewhere y = x. Which elements
// are left out follows from seed, step, layer, and row in the batch, and so backward draws the same
// again.
// Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: "Dropout: a simple way to prevent
// neural networks from overfitting", JMLR 15, 2014.
struct dropout {
  static constexpr const char* name = "dropout";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    const auto rate = node.spec.get<double>("rate");
    base::require<base::ValueError>(rate >= 0 && rate < 1, "rate of layer '", node.spec.name,
                                    "' must be in [0, 1), got ", rate);
    node.width = inputs.width();
    node.members = inputs.count();
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    if (!draws(b)) return b.set_output(b.input());
    const plan::ValueId y = b.value(b.width(), b.input());
    b.add(step<T>(b, plan::Zone::kForward, b.input(), y));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    if (b.output() == b.input()) return;
    const plan::ValueId gradient = b.gradient_of(b.output());
    b.add(step<T>(b, plan::Zone::kBackward, gradient, gradient));
    b.pass_gradient(0, gradient);
  }

 private:
  template <class T>
  static double rate_of(const plan::Builder<T>& b) {
    return b.spec().template get<double>("rate");
  }

  template <class T>
  static bool draws(const plan::Builder<T>& b) {
    return b.is_training() && rate_of(b) > 0;
  }

  template <class T>
  static plan::Step<T> step(const plan::Builder<T>& b, plan::Zone phase, plan::ValueId from,
                            plan::ValueId to) {
    const double rate = rate_of(b);
    plan::Pointwise<T> drop{plan::Pointwise<T>::Kind::drop, from, to};
    drop.factor = static_cast<T>(1 / (1 - rate));
    drop.threshold = static_cast<uint32_t>(std::min(std::nearbyint(rate * 0x1p16), 0x1p16 - 1));
    drop.layer = static_cast<uint32_t>(b.node());
    return plan::pointwise_step<T>(plan::Zone::kDropout, phase, b.node(), drop);
  }
};

}  // namespace gd::layers

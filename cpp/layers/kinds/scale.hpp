#pragma once

#include "layers/layer.hpp"
#include "plan/operations/column_sum.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// y = x w, a factor a column.
struct scale {
  static constexpr const char* name = "scale";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    node.width = inputs.width();
    node.members = inputs.count();
    node.entries.push_back(vector_of("weight", node.width, 1));
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ValueId y = b.value(b.width());
    b.add(times_weight<T>(b, plan::Zone::kActivationForward, plan::Zone::kForward, b.input(), y));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::ValueId gradient = b.gradient_of(b.output());
    const plan::ValueId each = b.value(b.width());
    b.add(plan::product_step<T>(b.node(), gradient, b.input(), each));
    if (b.wants_gradient()) {
      b.give_gradient(0, [&](plan::ValueId to) {
        b.add(times_weight<T>(b, plan::Zone::kActivationBackward, plan::Zone::kBackward, gradient,
                              to));
      });
    }
    b.add(plan::column_sum_step<T>(b, each, b.parameter("weight")->offset));
  }

 private:
  template <class T>
  static plan::Step<T> times_weight(const plan::Builder<T>& b, plan::Zone zone, plan::Zone phase,
                                    plan::ValueId from, plan::ValueId to) {
    const int64_t weight = b.parameter("weight")->offset, width = b.width();
    auto step =
        plan::row_step<T>(zone, phase, b.node(), {from}, {to}, 1,
                          [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
                            const T* const w = batch.parameters + weight;
                            for (int64_t j = 0; j < width; ++j) out[0][j] = in[0][j] * w[j];
                          });
    step.parameters_read = {weight};
    return step;
  }
};

}  // namespace gd::layers

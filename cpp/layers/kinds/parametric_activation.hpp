#pragma once

#include "layers/layer.hpp"
#include "plan/operations/column_sum.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// y = x + (f(x) - x) w, with a w a column that starts at 1.
// Holzmueller, Grinsztajn, Steinwart: "Better by default: strong pre-tuned MLPs and boosted trees
// on tabular data", NeurIPS 2024.
struct parametric_activation {
  static constexpr const char* name = "parametric_activation";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    const plan::ActivationUse<T> use = activation_of<T>(node.spec);
    base::require<base::ValueError>(use.kernel == nullptr || !use.kernel->row_wise, "layer '",
                                    node.spec.name, "' mixes each column by itself, activation '",
                                    node.spec.template get<std::string>("activation"),
                                    "' needs whole rows");
    node.width = inputs.width();
    node.members = inputs.count();
    node.entries.push_back(vector_of("weight", node.width, 1));
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ActivationUse<T> use = activation_of<T>(b.spec());
    const plan::ValueId f = b.value(b.width()), y = b.value(b.width());
    b.keep("f", f);
    const int64_t weight = b.parameter("weight")->offset, width = b.width();
    auto step = plan::row_step<T>(
        plan::Zone::kActivationForward, plan::Zone::kForward, b.node(), {b.input()}, {f, y}, 3,
        [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
          const T* const w = batch.parameters + weight;
          const T* const x = in[0];
          if (use.kernel == nullptr) {
            std::copy_n(x, width, out[0]);
          } else {
            use.kernel->forward(1, width, x, width, out[0], width, use.parameters.data());
          }
          for (int64_t j = 0; j < width; ++j) out[1][j] = x[j] + (out[0][j] - x[j]) * w[j];
        });
    step.parameters_read = {weight};
    b.add(std::move(step));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::ActivationUse<T> use = activation_of<T>(b.spec());
    const plan::ValueId gradient = b.gradient_of(b.output());
    const plan::ValueId each = b.value(b.width());
    const int64_t weight = b.parameter("weight")->offset, width = b.width();
    const auto add = [&](plan::ValueId to) {
      auto step = plan::row_step<T>(
          plan::Zone::kActivationBackward, plan::Zone::kBackward, b.node(),
          {b.input(), b.kept("f"), gradient}, {each, to}, 5,
          [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
            const T* const x = in[0];
            const T* const f = in[1];
            const T* const g = in[2];
            for (int64_t j = 0; j < width; ++j) out[0][j] = g[j] * (f[j] - x[j]);
            if (out[1] == nullptr) return;
            const T* const w = batch.parameters + weight;
            T* const gx = out[1];
            for (int64_t j = 0; j < width; ++j) gx[j] = g[j] * w[j];
            if (use.kernel != nullptr) {
              const T* const saved = use.kernel->from_output ? f : x;
              use.kernel->backward(1, width, saved, width, gx, width, use.parameters.data());
            }
            for (int64_t j = 0; j < width; ++j) gx[j] += g[j] * (T{1} - w[j]);
          });
      step.parameters_read = {weight};
      b.add(std::move(step));
    };
    if (b.wants_gradient()) {
      b.give_gradient(0, add);
    } else {
      add(plan::kNoValue);
    }
    b.add(plan::column_sum_step<T>(b, each, weight));
  }
};

}  // namespace gd::layers

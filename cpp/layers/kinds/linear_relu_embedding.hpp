#pragma once

#include "layers/embedding_parts.hpp"

namespace gd::layers {

// y = max(0, x w + b), each number by a vector of its column.
// Gorishniy, Rubachev, Babenko: "On embeddings for numerical features in tabular deep learning",
// NeurIPS 2022.
struct linear_relu_embedding {
  static constexpr const char* name = "linear_relu_embedding";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    const int64_t size = count_option(node.spec, "size");
    node.width = width_of(node.spec, inputs.width(), size);
    for (const char* entry : {"linear.weight", "linear.bias"}) {
      node.entries.push_back(drawn_table(entry, inputs.width(), size, size));
    }
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ValueId y = b.value(b.width());
    const int64_t weight = b.parameter("linear.weight")->offset;
    const int64_t bias = b.parameter("linear.bias")->offset;
    const int64_t columns = b.input_width(), size = b.width() / columns;
    auto step = plan::row_step<T>(
        plan::Zone::kActivationForward, plan::Zone::kForward, b.node(), {b.input()}, {y}, 3,
        [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
          for (int64_t f = 0; f < columns; ++f) {
            const T x = in[0][f];
            const T* const w = batch.parameters + weight + f * size;
            const T* const c = batch.parameters + bias + f * size;
            T* const to = out[0] + f * size;
            for (int64_t j = 0; j < size; ++j) {
              const T z = x * w[j] + c[j];
              to[j] = z > 0 ? z : T{0};
            }
          }
        });
    step.parameters_read = {weight, bias};
    b.add(std::move(step));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::ValueId gradient = b.gradient_of(b.output());
    const plan::ValueId each = b.value(b.width()), open = b.value(b.width());
    const int64_t weight = b.parameter("linear.weight")->offset;
    const int64_t columns = b.input_width(), size = b.width() / columns;
    const auto add = [&](plan::ValueId to) {
      auto step =
          plan::row_step<T>(plan::Zone::kActivationBackward, plan::Zone::kBackward, b.node(),
                            {b.input(), b.output(), gradient}, {open, each, to}, 4,
                            [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
                              for (int64_t f = 0; f < columns; ++f) {
                                const int64_t at = f * size;
                                const T x = in[0][f];
                                const T* const y = in[1] + at;
                                const T* const g = in[2] + at;
                                const T* const w = batch.parameters + weight + at;
                                T* const passed = out[0] + at;
                                T* const by_x = out[1] + at;
                                for (int64_t j = 0; j < size; ++j)
                                  passed[j] = y[j] > 0 ? g[j] : T{0};
                                for (int64_t j = 0; j < size; ++j) by_x[j] = passed[j] * x;
                                if (out[2] == nullptr) continue;
                                T sum = 0;
                                for (int64_t j = 0; j < size; ++j) sum += passed[j] * w[j];
                                out[2][f] = sum;
                              }
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
    b.add(plan::column_sum_step<T>(b, open, b.parameter("linear.bias")->offset));
  }
};

}  // namespace gd::layers

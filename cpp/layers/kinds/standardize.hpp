#pragma once

#include <algorithm>

#include "layers/layer.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// y = (x - mean) / scale, each column by its own, which no rule changes.
struct standardize {
  static constexpr const char* name = "standardize";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    using base::require;
    check_inputs(node, inputs, 1);
    const nn::LayerSpec& spec = node.spec;
    node.width = inputs.width();
    const auto& scales = spec.get<std::vector<double>>("scales");
    for (const char* option : {"means", "scales"}) {
      const auto& values = spec.get<std::vector<double>>(option);
      require<base::ValueError>(static_cast<int64_t>(values.size()) == node.width, option,
                                " of layer '", spec.name, "' must be as many as its input has ",
                                "columns, ", node.width, ", got ", values.size());
      const std::string told = std::string(option) + " of layer '" + spec.name + "'";
      for (const double value : values) base::representable<T>(value, told);
      nn::EntrySpec entry =
          vector_of(option == std::string("means") ? "mean" : "scale", node.width, 0);
      entry.role = nn::Role::state;
      entry.start = [values](base::RandomStream&, std::span<const double>, std::span<double> own) {
        std::ranges::copy(values, own.begin());
      };
      node.entries.push_back(entry);
    }
    for (const double scale : scales) {
      require<base::ValueError>(scale > 0, "scales of layer '", spec.name,
                                "' must be above 0, got ", scale);
    }
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ValueId y = b.value(b.width());
    const int64_t mean = b.kept_entry("mean").offset, scale = b.kept_entry("scale").offset;
    const int64_t width = b.width();
    b.add(plan::row_step<T>(plan::Zone::kNormForward, plan::Zone::kForward, b.node(), {b.input()},
                            {y}, 2,
                            [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
                              const T* const m = batch.state + mean;
                              const T* const s = batch.state + scale;
                              for (int64_t j = 0; j < width; ++j) {
                                out[0][j] = (in[0][j] - m[j]) / s[j];
                              }
                            }));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    if (!b.wants_gradient()) return;
    const plan::ValueId gradient = b.gradient_of(b.output());
    const int64_t scale = b.kept_entry("scale").offset, width = b.width();
    b.give_gradient(0, [&](plan::ValueId to) {
      b.add(plan::row_step<T>(plan::Zone::kNormBackward, plan::Zone::kBackward, b.node(),
                              {gradient}, {to}, 1,
                              [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
                                const T* const s = batch.state + scale;
                                for (int64_t j = 0; j < width; ++j) out[0][j] = in[0][j] / s[j];
                              }));
    });
  }
};

}  // namespace gd::layers

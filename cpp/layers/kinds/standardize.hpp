#pragma once

#include <algorithm>

#include "layers/layer.hpp"
#include "plan/operations/pointwise.hpp"
#include "plan/operations/tangents.hpp"

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

  template <class T>
  static void forward_tangents(plan::Builder<T>& b) {
    const plan::ValueId x = plan::input_with_tangents(b);
    const plan::ValueId y = plan::value_with_tangents(b, b.width());
    const int64_t mean = b.kept_entry("mean").offset;
    b.add(divided(b, plan::Zone::kNormForward, plan::Zone::kForward, x, y, mean));
    b.set_output(y);
  }

  template <class T>
  static void backward_tangents(plan::Builder<T>& b) {
    if (!b.wants_gradient()) return;
    const plan::ValueId gradient = b.gradient_of(b.output());
    b.give_gradient(0, [&](plan::ValueId to) {
      b.add(divided(b, plan::Zone::kNormBackward, plan::Zone::kBackward, gradient, to, -1));
    });
  }

 private:
  // Numbers, without the mean if there is one, and derivatives by the scale.
  template <class T>
  static plan::Step<T> divided(const plan::Builder<T>& b, plan::Zone zone, plan::Zone phase,
                               plan::ValueId from, plan::ValueId to, int64_t mean) {
    const int64_t scale = b.kept_entry("scale").offset, width = b.width();
    const int64_t directions = b.options().directions;
    return plan::row_step<T>(zone, phase, b.node(), {from}, {to}, 2,
                             [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
                               const T* const s = batch.state + scale;
                               for (int64_t d = 0; d <= directions; ++d) {
                                 const bool moves = d == 0 && mean >= 0;
                                 for (int64_t j = 0; j < width; ++j) {
                                   const int64_t at = d * width + j;
                                   const T shift = moves ? batch.state[mean + j] : T{0};
                                   out[0][at] = (in[0][at] - shift) / s[j];
                                 }
                               }
                             });
  }
};

}  // namespace gd::layers

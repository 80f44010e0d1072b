#pragma once

#include "layers/layer.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// y = a f(b), where x = (a, b) has both side by side: a gate of any activation.
// Dauphin, Fan, Auli, Grangier: "Language modeling with gated convolutional networks", ICML 2017;
// Shazeer: "GLU variants improve transformer", 2020.
struct glu {
  static constexpr const char* name = "glu";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    base::require<base::ValueError>(inputs.width() % 2 == 0, "layer '", node.spec.name,
                                    "' halves its input, whose width must be even, got ",
                                    inputs.width());
    activation_of<T>(node.spec);
    node.width = inputs.width() / 2;
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ActivationUse<T> use = activation_of<T>(b.spec());
    const plan::ValueId x = b.input();
    const plan::ValueId gate = b.value(b.width()), y = b.value(b.width());
    b.keep("gate", gate);
    const int64_t half = b.width();
    b.add(plan::row_step<T>(plan::Zone::kActivationForward, plan::Zone::kForward, b.node(), {x},
                            {gate, y}, 1,
                            [=](const plan::Batch<T>&, const auto& in, const auto& out) {
                              apply(use, half, in[0] + half, out[0]);
                              for (int64_t j = 0; j < half; ++j) out[1][j] = in[0][j] * out[0][j];
                            }));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    if (!b.wants_gradient()) return;
    const plan::ActivationUse<T> use = activation_of<T>(b.spec());
    const plan::ValueId x = b.input(), gate = b.kept("gate");
    const plan::ValueId gradient = b.gradient_of(b.output());
    const int64_t half = b.width();
    b.give_gradient(0, [&](plan::ValueId to) {
      b.add(plan::row_step<T>(
          plan::Zone::kActivationBackward, plan::Zone::kBackward, b.node(), {x, gate, gradient},
          {to}, 2, [=](const plan::Batch<T>&, const auto& in, const auto& out) {
            const T* const a = in[0];
            const T* const f = in[1];
            const T* const g = in[2];
            T* const at_a = out[0];
            T* const at_b = at_a + half;
            for (int64_t j = 0; j < half; ++j) {
              at_a[j] = g[j] * f[j];
              at_b[j] = g[j] * a[j];
            }
            if (use.kernel == nullptr) return;
            const T* const saved = use.kernel->from_output ? f : a + half;
            use.kernel->backward(1, half, saved, half, at_b, half, use.parameters.data());
          }));
    });
  }

 private:
  template <class T>
  static void apply(const plan::ActivationUse<T>& use, int64_t count, const T* from, T* to) {
    if (use.kernel == nullptr) {
      std::copy_n(from, count, to);
    } else {
      use.kernel->forward(1, count, from, count, to, count, use.parameters.data());
    }
  }
};

}  // namespace gd::layers

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
    plan::Step<T> step(plan::Zone::kActivationForward, plan::Zone::kForward, b.node(), {x},
                       {gate, y});
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> source = places.of(x), open = places.of(gate), target = places.of(y);
      return plan::row_pass<T>(made, places, plan::pass_cost<T>(source.cols, 1, 2), source.cols,
                               [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
                                 const auto in = source.in(batch);
                                 const auto f = open.out(batch);
                                 const auto out = target.out(batch);
                                 const int64_t half = f.cols;
                                 for (int64_t i = begin; i < begin + rows; ++i) {
                                   apply(use, half, in.row(i) + half, f.row(i));
                                   const T* const a = in.row(i);
                                   const T* const by = f.row(i);
                                   T* const to = out.row(i);
                                   for (int64_t j = 0; j < half; ++j) to[j] = a[j] * by[j];
                                 }
                               });
    };
    b.add(std::move(step));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    if (!b.wants_gradient()) return;
    const plan::ActivationUse<T> use = activation_of<T>(b.spec());
    const plan::ValueId x = b.input(), gate = b.kept("gate");
    const plan::ValueId gradient = b.gradient_of(b.output());
    b.give_gradient(0, [&](plan::ValueId to) {
      plan::Step<T> step(plan::Zone::kActivationBackward, plan::Zone::kBackward, b.node(),
                         {x, gate, gradient}, {to});
      step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
        const plan::Rows<T> source = places.of(x), open = places.of(gate);
        const plan::Rows<T> above = places.of(gradient), below = places.of(to);
        return plan::row_pass<T>(
            made, places, plan::pass_cost<T>(source.cols, 2, 3), source.cols,
            [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
              const auto in = source.in(batch);
              const auto f = open.in(batch);
              const auto g = above.in(batch);
              const auto out = below.out(batch);
              const int64_t half = f.cols;
              for (int64_t i = begin; i < begin + rows; ++i) {
                const T* const a = in.row(i);
                T* const at_a = out.row(i);
                T* const at_b = at_a + half;
                for (int64_t j = 0; j < half; ++j) {
                  at_a[j] = g.row(i)[j] * f.row(i)[j];
                  at_b[j] = g.row(i)[j] * a[j];
                }
                if (use.kernel == nullptr) continue;
                const T* const saved = use.kernel->from_output ? f.row(i) : a + half;
                use.kernel->backward(1, half, saved, half, at_b, half, use.parameters.data());
              }
            });
      };
      b.add(std::move(step));
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

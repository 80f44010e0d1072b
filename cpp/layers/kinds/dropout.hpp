#pragma once

#include <cmath>

#include "kernels/dispatch.hpp"
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
    const auto threshold =
        static_cast<uint32_t>(std::min(std::nearbyint(rate * 0x1p32), 0x1p32 - 1));
    const auto layer = static_cast<uint32_t>(b.node());
    plan::Step<T> made(plan::Zone::kDropout, phase, b.node(), {from}, {to});
    made.make = [=](const plan::Step<T>& as, const plan::Places<T>& places) {
      const plan::Rows<T> source = places.of(from), target = places.of(to);
      const auto kernel = kernels::kernels().of<T>().layers.dropout;
      return plan::row_pass<T>(as, places, plan::pass_cost<T>(source.cols, 1, 2), source.cols,
                               [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
                                 const auto in = source.in(batch);
                                 const auto out = target.out(batch);
                                 kernels::DropoutRows<T> p{};
                                 p.rows = rows;
                                 p.cols = in.cols;
                                 p.x = in.row(begin);
                                 p.ldx = in.stride;
                                 p.y = out.row(begin);
                                 p.ldy = out.stride;
                                 p.scale = static_cast<T>(1 / (1 - rate));
                                 p.threshold = threshold;
                                 p.key[0] = static_cast<uint32_t>(batch.draw.seed);
                                 p.key[1] = static_cast<uint32_t>(batch.draw.seed >> 32);
                                 p.step = static_cast<uint32_t>(batch.draw.step);
                                 p.layer = layer;
                                 p.first_row = batch.draw.first_row + batch.first_row + begin;
                                 kernel(p);
                               });
    };
    return made;
  }
};

}  // namespace gd::layers

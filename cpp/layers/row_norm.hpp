#pragma once

// What layers that normalize each row have in common.

#include <limits>

#include "kernels/dispatch.hpp"
#include "layers/layer.hpp"
#include "plan/operations/column_sum.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// Offsets of gamma and beta in the flat buffer, -1 where there is none.
struct NormShape {
  bool centered;
  double eps;
  int64_t gamma = -1;
  int64_t beta = -1;
};

template <class T>
plan::Step<T> norm_forward_step(int node, const NormShape& shape, plan::ValueId x, plan::ValueId y,
                                plan::ValueId stats) {
  plan::Step<T> step(plan::Zone::kNormForward, plan::Zone::kForward, node, {x}, {y, stats});
  step.result = y;
  for (const int64_t offset : {shape.gamma, shape.beta}) {
    if (offset >= 0) step.parameters_read.push_back(offset);
  }
  step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
    const plan::Rows<T> from = places.of(x), to = places.of(y), moments = places.of(stats);
    const auto kernel = kernels::kernels().of<T>().layers.norm_forward;
    return plan::row_pass<T>(
        made, places, plan::pass_cost<T>(from.cols, 7, 2), from.cols,
        [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
          const auto in = from.in(batch);
          const auto out = to.out(batch);
          const auto kept = moments.out(batch);
          const auto parameter = [&](int64_t offset) {
            return offset < 0 ? nullptr : batch.parameters + offset;
          };
          kernel({rows, in.cols, shape.centered, static_cast<T>(shape.eps), in.row(begin),
                  in.stride, parameter(shape.gamma), parameter(shape.beta), out.row(begin),
                  out.stride, kept.row(begin), kept.stride});
        });
  };
  return step;
}

// `each` or `to` may be kNoValue: not wanted.
template <class T>
plan::Step<T> norm_backward_step(int node, const NormShape& shape, plan::ValueId x,
                                 plan::ValueId stats, plan::ValueId gradient, plan::ValueId each,
                                 plan::ValueId to) {
  plan::Step<T> step(plan::Zone::kNormBackward, plan::Zone::kBackward, node, {x, stats, gradient},
                     {});
  step.takes = gradient;
  for (const plan::ValueId written : {each, to}) {
    if (written != plan::kNoValue) step.writes.push_back(written);
  }
  if (shape.gamma >= 0) step.parameters_read.push_back(shape.gamma);
  step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
    const plan::Rows<T> none;
    const plan::Rows<T> from = places.of(x), moments = places.of(stats);
    const plan::Rows<T> at_output = places.of(gradient);
    const plan::Rows<T> terms = each == plan::kNoValue ? none : places.of(each);
    const plan::Rows<T> at_input = to == plan::kNoValue ? none : places.of(to);
    const auto kernel = kernels::kernels().of<T>().layers.norm_backward;
    return plan::row_pass<T>(made, places, plan::pass_cost<T>(from.cols, 12, 4), from.cols,
                             [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
                               const auto in = from.in(batch);
                               const auto kept = moments.in(batch);
                               const auto g = at_output.in(batch);
                               kernels::NormGradientRows<T> p{};
                               p.rows = rows;
                               p.cols = in.cols;
                               p.centered = shape.centered;
                               p.x = in.row(begin);
                               p.ldx = in.stride;
                               p.gamma = shape.gamma < 0 ? nullptr : batch.parameters + shape.gamma;
                               p.stats = kept.row(begin);
                               p.lds = kept.stride;
                               p.g = g.row(begin);
                               p.ldg = g.stride;
                               if (terms.cols > 0) {
                                 p.each = terms.out(batch).row(begin);
                                 p.lde = terms.stride;
                               }
                               if (at_input.cols > 0) {
                                 p.gx = at_input.out(batch).row(begin);
                                 p.ldgx = at_input.stride;
                               }
                               kernel(p);
                             });
  };
  return step;
}

// The layer, but for its name: Self has `centered`, and whether there is a beta beside gamma.
template <class Self>
struct row_norm {
  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    const double eps = eps_of<T>(node.spec);
    base::require<base::ValueError>(eps >= 0, "eps of layer '", node.spec.name,
                                    "' must be at least 0, got ", eps);
    base::representable<T>(eps, "eps of layer '" + node.spec.name + "'");
    node.width = inputs.width();
    if (!node.spec.get<bool>("affine")) return;
    node.entries.push_back(vector_of("weight", node.width, 1));
    if (Self::centered) node.entries.push_back(vector_of("bias", node.width, 0));
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ValueId y = b.value(b.width());
    const plan::ValueId stats = b.value(2);
    b.keep("stats", stats);
    b.add(norm_forward_step<T>(b.node(), shape_of(b), b.input(), y, stats));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const NormShape shape = shape_of(b);
    const plan::ValueId gradient = b.gradient_of(b.output());
    const bool tells_gamma = shape.gamma >= 0 && b.trains(shape.gamma);
    const plan::ValueId each = tells_gamma ? b.value(b.width()) : plan::kNoValue;
    const auto step = [&](plan::ValueId to) {
      b.add(norm_backward_step<T>(b.node(), shape, b.input(), b.kept("stats"), gradient, each, to));
    };
    if (b.wants_gradient()) {
      b.give_gradient(0, step);
    } else {
      step(plan::kNoValue);
    }
    if (tells_gamma) b.add(plan::column_sum_step<T>(b, each, shape.gamma));
    if (shape.beta >= 0) b.add(plan::column_sum_step<T>(b, gradient, shape.beta));
  }

 private:
  // Left out it is the type's, as in PyTorch.
  template <class T>
  static double eps_of(const nn::LayerSpec& spec) {
    return spec.has("eps") ? spec.get<double>("eps") : std::numeric_limits<T>::epsilon();
  }

  template <class T>
  static NormShape shape_of(const plan::Builder<T>& b) {
    const nn::Parameter* const gamma = b.parameter("weight");
    const nn::Parameter* const beta = b.parameter("bias");
    return {Self::centered, eps_of<T>(b.spec()), gamma == nullptr ? -1 : gamma->offset,
            beta == nullptr ? -1 : beta->offset};
  }
};

}  // namespace gd::layers

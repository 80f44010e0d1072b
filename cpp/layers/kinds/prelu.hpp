#pragma once

#include "layers/layer.hpp"
#include "plan/operations/column_sum.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// y = x for x > 0, else w x, with one w for all columns or one a column.
// He, Zhang, Ren, Sun: "Delving deep into rectifiers", ICCV 2015.
struct prelu {
  static constexpr const char* name = "prelu";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    const auto init = node.spec.get<double>("init");
    base::representable<T>(init, "init of layer '" + node.spec.name + "'");
    node.width = inputs.width();
    node.entries.push_back(
        vector_of("weight", node.spec.get<bool>("shared") ? 1 : node.width, init));
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ValueId x = b.input(), y = b.value(b.width());
    const int64_t weight = b.parameter("weight")->offset;
    const int64_t next = shared(b) ? 0 : 1;  // from a column's weight to the next
    plan::Step<T> step(plan::Zone::kActivationForward, plan::Zone::kForward, b.node(), {x}, {y});
    step.parameters_read = {weight};
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> source = places.of(x), target = places.of(y);
      return plan::row_pass<T>(made, places, plan::pass_cost<T>(source.cols, 1, 2), source.cols,
                               [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
                                 const auto in = source.in(batch);
                                 const auto out = target.out(batch);
                                 const T* const w = batch.parameters + weight;
                                 for (int64_t i = begin; i < begin + rows; ++i) {
                                   const T* const from = in.row(i);
                                   T* const to = out.row(i);
                                   for (int64_t j = 0; j < in.cols; ++j) {
                                     to[j] = from[j] > 0 ? from[j] : w[j * next] * from[j];
                                   }
                                 }
                               });
    };
    b.add(std::move(step));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::ValueId gradient = b.gradient_of(b.output());
    const plan::ValueId each = b.value(shared(b) ? 1 : b.width());
    const auto add = [&](plan::ValueId to) { b.add(backward_step<T>(b, gradient, each, to)); };
    if (b.wants_gradient()) {
      b.give_gradient(0, add);
    } else {
      add(plan::kNoValue);
    }
    b.add(plan::column_sum_step<T>(b, each, b.parameter("weight")->offset));
  }

 private:
  template <class T>
  static bool shared(const plan::Builder<T>& b) {
    return b.spec().template get<bool>("shared");
  }

  // What each row gives to the gradient at w, and the gradient at x where it is wanted.
  template <class T>
  static plan::Step<T> backward_step(const plan::Builder<T>& b, plan::ValueId gradient,
                                     plan::ValueId each, plan::ValueId to) {
    const plan::ValueId x = b.input();
    const int64_t weight = b.parameter("weight")->offset;
    const bool one = shared(b);
    plan::Step<T> step(plan::Zone::kActivationBackward, plan::Zone::kBackward, b.node(),
                       {x, gradient}, {each});
    if (to != plan::kNoValue) step.writes.push_back(to);
    step.parameters_read = {weight};
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> none;
      const plan::Rows<T> source = places.of(x), above = places.of(gradient);
      const plan::Rows<T> terms = places.of(each);
      const plan::Rows<T> below = to == plan::kNoValue ? none : places.of(to);
      return plan::row_pass<T>(made, places, plan::pass_cost<T>(source.cols, 2, 4), source.cols,
                               [=](const plan::Batch<T>& batch, int64_t begin, int64_t rows) {
                                 const auto in = source.in(batch);
                                 const auto at_output = above.in(batch);
                                 const auto parts = terms.out(batch);
                                 const T* const w = batch.parameters + weight;
                                 for (int64_t i = begin; i < begin + rows; ++i) {
                                   const T* const from = in.row(i);
                                   const T* const g = at_output.row(i);
                                   T* const part = parts.row(i);
                                   T sum = 0;
                                   for (int64_t j = 0; j < in.cols; ++j) {
                                     const T term = from[j] > 0 ? T{0} : g[j] * from[j];
                                     one ? sum += term : part[j] = term;
                                   }
                                   if (one) part[0] = sum;
                                   if (below.cols == 0) continue;
                                   T* const gx = below.out(batch).row(i);
                                   for (int64_t j = 0; j < in.cols; ++j) {
                                     gx[j] = from[j] > 0 ? g[j] : w[one ? 0 : j] * g[j];
                                   }
                                 }
                               });
    };
    return step;
  }
};

}  // namespace gd::layers

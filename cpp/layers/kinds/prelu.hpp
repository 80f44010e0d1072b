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
    node.members = inputs.count();
    node.entries.push_back(
        vector_of("weight", node.spec.get<bool>("shared") ? 1 : node.width, init));
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ValueId x = b.input(), y = b.value(b.width());
    const int64_t weight = b.parameter("weight")->offset;
    const int64_t next = shared(b) ? 0 : 1;  // from a column's weight to the next
    const int64_t width = b.width();
    auto step =
        plan::row_step<T>(plan::Zone::kActivationForward, plan::Zone::kForward, b.node(), {x}, {y},
                          1, [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
                            const T* const w = batch.parameters + weight;
                            const T* const from = in[0];
                            for (int64_t j = 0; j < width; ++j) {
                              out[0][j] = from[j] > 0 ? from[j] : w[j * next] * from[j];
                            }
                          });
    step.parameters_read = {weight};
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
    const int64_t weight = b.parameter("weight")->offset, width = b.width();
    const bool one = shared(b);
    auto step = plan::row_step<T>(
        plan::Zone::kActivationBackward, plan::Zone::kBackward, b.node(), {b.input(), gradient},
        {each, to}, 2, [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
          const T* const w = batch.parameters + weight;
          const T* const from = in[0];
          const T* const g = in[1];
          T sum = 0;
          for (int64_t j = 0; j < width; ++j) {
            const T term = from[j] > 0 ? T{0} : g[j] * from[j];
            one ? sum += term : out[0][j] = term;
          }
          if (one) out[0][0] = sum;
          if (out[1] == nullptr) return;
          for (int64_t j = 0; j < width; ++j) {
            out[1][j] = from[j] > 0 ? g[j] : w[one ? 0 : j] * g[j];
          }
        });
    step.parameters_read = {weight};
    return step;
  }
};

}  // namespace gd::layers

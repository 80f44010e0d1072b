#pragma once

#include <algorithm>
#include <cmath>

#include "base/panels.hpp"
#include "layers/kinds/dense.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// y = f(x W^T + b) with W = g v / |v|, row by row: a length g and a direction v for each unit. Made
// as u h + b with u = x v^T and h = g / |v|, so that v lies and is multiplied as a dense layer's W.
// Salimans, Kingma: "Weight normalization: a simple reparameterization to accelerate training of
// deep neural networks", NeurIPS 2016.
struct weight_norm_dense {
  static constexpr const char* name = "weight_norm_dense";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    dense::infer<T>(inputs, node);
    base::require<base::ValueError>(inputs.count() == 1, "layer '", node.spec.name, "' of kind '",
                                    name, "' cannot stand behind the ", inputs.count(),
                                    " members of an ensemble");
    node.needs_tiles = true;  // what |v| adds to its gradient comes once a batch
    const int64_t units = node.width, width = inputs.width();
    nn::EntrySpec& direction = node.entries.front();
    direction.name = "weight_v";
    direction.lies = nn::Lies::transposed_panels;
    nn::EntrySpec length = vector_of("weight_g", units, 0);
    length.shape = {units, 1};
    length.start = [width](base::RandomStream&, std::span<const double> before,
                           std::span<double> own) {
      for (size_t i = 0; i < own.size(); ++i) {
        double squares = 0;
        for (const double v :
             before.subspan(i * static_cast<size_t>(width), static_cast<size_t>(width))) {
          squares += v * v;
        }
        own[i] = std::sqrt(squares);
      }
    };
    node.entries.insert(node.entries.begin() + 1, length);
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const Shape shape = shape_of(b);
    plan::cover_products(b, shape.product);
    const plan::ValueId factors = b.vectors(1, b.width());
    const plan::ValueId u = b.value(b.width()), z = b.value(b.width());
    b.keep("factors", factors);
    b.keep("u", u);
    b.keep("z", z);
    b.add(factors_step<T>(b, shape, factors));
    b.add(plan::dense_forward_step<T>(b, shape.product, b.input(), u));
    const int64_t units = b.width(), bias = shape.bias;
    auto step = plan::row_step<T>(
        plan::Zone::kActivationForward, plan::Zone::kForward, b.node(), {u, factors}, {z}, 2,
        [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
          const T* const from = in[0];
          const T* const h = in[1];
          T* const to = out[0];
          for (int64_t j = 0; j < units; ++j) to[j] = from[j] * h[j];
          if (bias < 0) return;
          const T* const c = batch.parameters + bias;
          for (int64_t j = 0; j < units; ++j) to[j] += c[j];
        });
    if (bias >= 0) step.parameters_read = {bias};
    b.add(std::move(step));
    b.set_output(b.activate(activation_of<T>(b.spec()), z));
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const Shape shape = shape_of(b);
    const plan::ValueId delta = b.gradient_of(b.output()), u = b.kept("u");
    b.activate_backward(activation_of<T>(b.spec()), b.kept("z"), b.output(), delta);
    const plan::ValueId at_u = b.value(b.width()), sums = b.vectors(1, b.width());
    const int64_t units = b.width();
    b.add(plan::row_step<T>(plan::Zone::kActivationBackward, plan::Zone::kBackward, b.node(),
                            {delta, b.kept("factors")}, {at_u}, 1,
                            [=](const plan::Batch<T>&, const auto& in, const auto& out) {
                              for (int64_t j = 0; j < units; ++j) {
                                out[0][j] = in[0][j] * in[1][j];
                              }
                            }));
    b.add(plan::column_product_step<T>(b, {delta, u, -1, sums}));
    if (b.wants_gradient()) {
      b.give_gradient(0, [&](plan::ValueId to) {
        b.add(plan::input_gradient_step<T>(b, shape.product, at_u, to));
      });
    }
    b.add(plan::plain_weight_gradient_step<T>(b, shape.product, b.input(), at_u));
    b.add(gradient_step<T>(b, shape, sums));
    if (shape.bias >= 0) b.add(plan::column_sum_step<T>(b, delta, shape.bias));
  }

 private:
  struct Shape {
    plan::DenseShape product;  // of v, without a bias
    int64_t length = 0;        // offset of g
    int64_t bias = -1;
  };

  template <class T>
  static Shape shape_of(const plan::Builder<T>& b) {
    Shape shape;
    shape.product = dense::shape_of(b, "weight_v");
    shape.bias = std::exchange(shape.product.bias, -1);
    shape.length = b.parameter("weight_g")->offset;
    return shape;
  }

  // An operation over panels of units; pass(batch, first unit, units) does one.
  template <class T, class Pass>
  class PanelPass final : public plan::Operation<T> {
   public:
    PanelPass(const plan::Step<T>& step, int max_workers, const plan::DenseShape& shape,
              bool updates, Pass pass)
        : plan::Operation<T>(step.zone, step.phase, step.node, max_workers, cost_of(shape)),
          shape_(shape),
          updates_(updates),
          pass_(std::move(pass)) {}
    int64_t updates() const override { return updates_ ? (shape_.inputs + 1) * shape_.units : 0; }

   private:
    static plan::Cost cost_of(const plan::DenseShape& shape) {
      plan::Cost cost;
      cost.flops_fixed = 2 * shape.inputs * shape.units;
      cost.bytes_fixed = shape.inputs * shape.units * static_cast<int64_t>(sizeof(T));
      return cost;
    }
    void work(ops::Worker& worker, const plan::Batch<T>& batch) override {
      const int64_t panels = (shape_.units + base::kPanel - 1) / base::kPanel;
      this->queue().for_each(worker, panels, [&](int64_t panel) {
        const int64_t first = panel * base::kPanel;
        pass_(batch, first, base::panel_width(shape_.units, first));
      });
    }

    plan::DenseShape shape_;
    bool updates_;
    Pass pass_;
  };

  template <class T, class Pass>
  static std::unique_ptr<plan::Operation<T>> panel_pass(const plan::Step<T>& step,
                                                        const plan::Places<T>& places,
                                                        const plan::DenseShape& shape, bool updates,
                                                        Pass pass) {
    return std::make_unique<PanelPass<T, Pass>>(step, places.max_workers, shape, updates,
                                                std::move(pass));
  }

  // 1 / |v| of the units of a panel; sums in double, in the order of the inputs.
  template <class T>
  static void inverse_norms(const T* panel, int64_t inputs, int64_t width, double* inverse) {
    double squares[base::kPanel] = {};
    for (int64_t i = 0; i < inputs; ++i) {
      for (int64_t j = 0; j < width; ++j) {
        const auto v = static_cast<double>(panel[i * width + j]);
        squares[j] += v * v;
      }
    }
    for (int64_t j = 0; j < width; ++j) inverse[j] = 1 / std::sqrt(squares[j]);
  }

  // h = g / |v|.
  template <class T>
  static plan::Step<T> factors_step(const plan::Builder<T>& b, const Shape& shape,
                                    plan::ValueId factors) {
    plan::Step<T> step(plan::Zone::kNormForward, plan::Zone::kForward, b.node(), {}, {factors});
    step.parameters_read = {shape.product.weight, shape.length};
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> to = places.of(factors);
      const plan::DenseShape v = shape.product;
      return panel_pass<T>(
          made, places, v, false, [=](const plan::Batch<T>& batch, int64_t first, int64_t width) {
            double inverse[base::kPanel];
            inverse_norms(batch.parameters + v.weight + first * v.inputs, v.inputs, width, inverse);
            const T* const g = batch.parameters + shape.length + first;
            for (int64_t j = 0; j < width; ++j) {
              to.data[first + j] = static_cast<T>(static_cast<double>(g[j]) * inverse[j]);
            }
          });
    };
    return step;
  }

  // With s = sum over samples of delta u, the gradient at h: that at g is s / |v|, and from that at
  // v, of the product alone so far, goes s g v / |v|^3. Then both may be updated.
  template <class T>
  static plan::Step<T> gradient_step(const plan::Builder<T>& b, const Shape& shape,
                                     plan::ValueId sums) {
    plan::Step<T> step(plan::Zone::kNormBackward, plan::Zone::kBackward, b.node(), {sums}, {});
    step.parameters_written = {shape.product.weight, shape.length};
    step.make = [=](const plan::Step<T>& made, const plan::Places<T>& places) {
      const plan::Rows<T> from = places.of(sums);
      const plan::DenseShape v = shape.product;
      return panel_pass<T>(
          made, places, v, true, [=](const plan::Batch<T>& batch, int64_t first, int64_t width) {
            const int64_t at = v.weight + first * v.inputs, at_g = shape.length + first;
            const T* const panel = batch.parameters + at;
            const T* const g = batch.parameters + at_g;
            double inverse[base::kPanel];
            inverse_norms(panel, v.inputs, width, inverse);
            T off[base::kPanel];
            T* const to_g = batch.gradients + at_g;
            for (int64_t j = 0; j < width; ++j) {
              const auto s = static_cast<double>(from.data[first + j]) * inverse[j];
              off[j] = static_cast<T>(s * static_cast<double>(g[j]) * inverse[j] * inverse[j]);
              to_g[j] = batch.accumulate ? to_g[j] + static_cast<T>(s) : static_cast<T>(s);
            }
            T* const to = batch.gradients + at;
            for (int64_t i = 0; i < v.inputs; ++i) {
              for (int64_t j = 0; j < width; ++j) {
                to[i * width + j] -= off[j] * panel[i * width + j];
              }
            }
            if (batch.rule == nullptr) return;
            const auto size = static_cast<size_t>(v.inputs * width);
            batch.rule->update_piece(*batch.update, at, {to, size});
            batch.rule->update_piece(*batch.update, at_g, {to_g, static_cast<size_t>(width)});
          });
    };
    return step;
  }
};

}  // namespace gd::layers

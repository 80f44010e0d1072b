#pragma once

#include "layers/ensemble_parts.hpp"

namespace gd::layers {

// A dense layer of each member of an ensemble. Shared, all have one W, and vectors of their own
// beside: y = f(((x r) W^T) s + b), so that their products are one, of N members rows. Else each
// has a W of its own.
// Wen, Tran, Ba: "BatchEnsemble: an alternative approach to efficient ensemble and lifelong
// learning", ICLR 2020; Gorishniy, Kotelnikov, Babenko: "TabM: advancing tabular deep learning with
// parameter-efficient ensembling", ICLR 2025.
struct ensemble_dense {
  static constexpr const char* name = "ensemble_dense";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    check_inputs(node, inputs, 1);
    const nn::LayerSpec& spec = node.spec;
    const int64_t units = count_option(spec, "units");
    const int64_t members = node.members = members_of(inputs, spec);
    const int64_t width = inputs.width() / inputs.count();
    node.width = width_of(spec, units, members);
    width_of(spec, width, members);
    activation_of<T>(spec);
    const bool bias = spec.get<bool>("bias");
    if (!spec.get<bool>("shared")) {
      node.entries.push_back(matrices_of("weight", members, width, units));
      if (bias) node.entries.push_back(drawn_table("bias", members, units, width));
      return;
    }
    node.needs_tiles = true;
    nn::EntrySpec weight;
    weight.name = "weight";
    weight.rows = units;
    weight.cols = width;
    weight.lies = nn::Lies::transposed_panels;
    weight.initializer = "pytorch";
    weight.fan_in = width;
    weight.fan_out = units;
    node.entries.push_back(weight);
    node.entries.push_back(
        factors_of(spec, "r", members, width, first_init(inputs, spec, "r_init"), chunks_of(spec)));
    node.entries.push_back(
        factors_of(spec, "s", members, units, spec.get<std::string>("s_init"), {}));
    if (!bias) return;
    nn::EntrySpec shift = table_of("bias", members, units);
    shift.start = [=](base::RandomStream& random, std::span<const double>, std::span<double> own) {
      // All members start at one bias.
      const auto one = own.first(static_cast<size_t>(units));
      nn::initialize<double>("pytorch", width, units, random, one);
      for (size_t at = one.size(); at < own.size(); at += one.size()) {
        std::ranges::copy(one, own.subspan(at).begin());
      }
    };
    node.entries.push_back(shift);
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const Shape shape = shape_of(b);
    plan::cover_blocks(b, shape.product);
    const plan::ValueId z = b.set_exact(b.value(b.width()));
    b.keep("z", z);
    plan::ValueId sum = z;
    if (shape.product.shared) {
      const plan::ValueId x = b.set_exact(b.value(shape.r.members * shape.r.width));
      b.keep("x", x);
      b.add(factors_step<T>(b, shape.r, plan::Zone::kForward, b.input(), x));
      b.add(plan::blocks_forward_step<T>(b, shape.product, x, z));
      sum = b.set_exact(b.value(b.width()));
      b.add(finish_step<T>(b, shape, z, sum));
    } else {
      b.add(plan::blocks_forward_step<T>(b, shape.product, b.input(), z));
    }
    b.keep("sum", sum);
    b.set_output(b.activate(activation_of<T>(b.spec()), sum));
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const Shape shape = shape_of(b);
    const plan::ValueId delta = b.gradient_of(b.output());
    b.activate_backward(activation_of<T>(b.spec()), b.kept("sum"), b.output(), delta);
    shape.product.shared ? backward_shared(b, shape, delta) : backward_apart(b, shape, delta);
  }

 private:
  struct Shape {
    plan::BlocksShape product;
    Factors r;  // shared: of the input
    Factors s;  // and of the sums
    int64_t bias = -1;
  };

  template <class T>
  static Shape shape_of(const plan::Builder<T>& b) {
    Shape shape;
    const int64_t members = b.members(), units = b.width() / members;
    const bool same = b.input_members() == 1;
    const int64_t width = b.input_width() / b.input_members();
    if (const nn::Parameter* const bias = b.parameter("bias")) shape.bias = bias->offset;
    plan::BlocksShape& product = shape.product;
    product.count = members;
    product.inputs = width;
    product.units = units;
    product.weight = b.parameter("weight")->offset;
    product.shared = b.spec().template get<bool>("shared");
    shape.r = {0, members, width, same};
    if (product.shared) {
      shape.r.offset = b.parameter("r")->offset;
      shape.s = {b.parameter("s")->offset, members, units, false};
    } else {
      product.bias = shape.bias;
      product.same_input = same;
    }
    return shape;
  }

  // sum = z s + b.
  template <class T>
  static plan::Step<T> finish_step(const plan::Builder<T>& b, const Shape& shape, plan::ValueId z,
                                   plan::ValueId sum) {
    const int64_t cols = b.width(), scale = shape.s.offset, bias = shape.bias;
    auto step = plan::row_step<T>(
        plan::Zone::kActivationForward, plan::Zone::kForward, b.node(), {z}, {sum}, 2,
        [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
          const T* const from = in[0];
          const T* const s = batch.parameters + scale;
          T* const to = out[0];
          if (bias < 0) {
            for (int64_t j = 0; j < cols; ++j) to[j] = from[j] * s[j];
          } else {
            const T* const c = batch.parameters + bias;
            for (int64_t j = 0; j < cols; ++j) to[j] = from[j] * s[j] + c[j];
          }
        });
    step.parameters_read = {scale};
    if (bias >= 0) step.parameters_read.push_back(bias);
    return step;
  }

  template <class T>
  static void backward_shared(plan::Builder<T>& b, const Shape& shape, plan::ValueId delta) {
    const plan::ValueId at_z = b.set_exact(b.value(b.width()));
    b.add(factors_step<T>(b, shape.s, plan::Zone::kBackward, delta, at_z));
    b.add(plan::column_product_step<T>(b, {delta, b.kept("z"), shape.s.offset}));
    if (shape.bias >= 0) b.add(plan::column_sum_step<T>(b, delta, shape.bias));
    const plan::ValueId at_x = b.set_exact(b.value(shape.r.members * shape.r.width));
    b.add(plan::blocks_input_gradient_step<T>(b, shape.product, at_z, at_x));
    b.add(plan::blocks_weight_gradient_step<T>(b, shape.product, b.kept("x"), at_z));
    factors_backward<T>(b, shape.r, at_x);
  }

  template <class T>
  static void backward_apart(plan::Builder<T>& b, const Shape& shape, plan::ValueId delta) {
    if (b.wants_gradient()) {
      b.give_gradient(0, [&](plan::ValueId to) {
        if (!shape.product.same_input) {
          b.add(plan::blocks_input_gradient_step<T>(b, shape.product, delta, to));
          return;
        }
        const plan::ValueId apart = b.value(shape.r.members * shape.r.width);
        b.add(plan::blocks_input_gradient_step<T>(b, shape.product, delta, apart));
        b.add(members_total_step<T>(b, shape.r, false, apart, to));
      });
    }
    b.add(plan::blocks_weight_gradient_step<T>(b, shape.product, b.input(), delta));
    if (shape.bias >= 0) b.add(plan::column_sum_step<T>(b, delta, shape.bias));
  }
};

}  // namespace gd::layers

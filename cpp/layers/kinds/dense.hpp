#pragma once

#include "layers/layer.hpp"
#include "nn/initializers.hpp"
#include "plan/operations/blocks.hpp"
#include "plan/operations/column_sum.hpp"
#include "plan/operations/product.hpp"
#include "plan/operations/sparse_product.hpp"
#include "plan/operations/tangents.hpp"

namespace gd::layers {

// y = f(x W^T + b), x (N, inputs), W (units, inputs), b (units,); of an ensemble each member's x.
struct dense {
  static constexpr const char* name = "dense";
  static constexpr bool reads_sparse = true;

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    using base::require;
    const nn::LayerSpec& spec = node.spec;
    check_inputs(node, inputs, 1);
    const auto units = spec.get<int64_t>("units");
    require<base::ValueError>(units >= 1, "units of layer '", spec.name,
                              "' must be at least 1, got ", units);
    activation_of<T>(spec);
    node.members = inputs.count();
    const int64_t width = inputs.width() / node.members;
    require<base::ValueError>(!__builtin_mul_overflow(units, node.members, &node.width),
                              "the output of layer '", spec.name,
                              "' is wider than can be addressed");
    node.needs_tiles = node.members > 1;
    nn::EntrySpec weight;
    weight.name = "weight";
    weight.rows = units;
    weight.cols = width;
    weight.fan_in = width;
    weight.fan_out = units;
    weight.initializer = spec.get<std::string>("weight_init");
    if (spec.has("weight_init_parameters")) {
      weight.gain = spec.get<std::vector<double>>("weight_init_parameters").at(0);
      base::representable<T>(weight.gain, "gain of layer '" + spec.name + "'");
    }
    const bool as_it_is = node.members == 1 && lies_as_it_is(inputs, units);
    weight.lies = inputs.sparse.front() ? nn::Lies::transposed_rows
                  : as_it_is            ? nn::Lies::panels
                                        : nn::Lies::transposed_panels;
    weight.sparse = spec.has("sparse") && spec.get<bool>("sparse");
    require<base::ValueError>(!weight.sparse || inputs.sparse.front(), "sparse of layer '",
                              spec.name, "' is for what reads sparse rows, ",
                              "Input(columns, sparse=True)");
    nn::EntrySpec bias = weight;
    bias.name = "bias";
    bias.sparse = false;
    bias.rows = 1;
    bias.cols = units;
    bias.initializer = spec.get<std::string>("bias_init");
    bias.lies = nn::Lies::flat;
    nn::check_initializer(weight.initializer);
    nn::check_initializer(bias.initializer);
    require<base::ValueError>(bias.initializer != "orthogonal", "bias_init of layer '", spec.name,
                              "' must not be 'orthogonal': that makes matrices");
    node.entries.push_back(weight);
    if (spec.get<bool>("bias")) node.entries.push_back(bias);
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    if (b.members() > 1) return forward_of_members(b);
    const plan::DenseShape shape = shape_of(b);
    const plan::ValueId z = b.value(b.width());
    if (b.reads_sparse_rows()) {
      b.add(plan::sparse_forward_step<T>(b, shape, z));
    } else {
      plan::cover_products(b, shape);
      b.add(plan::dense_forward_step<T>(b, shape, b.input(), z));
    }
    b.keep("z", z);
    b.set_output(b.activate(activation_of<T>(b.spec()), z));
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    if (b.members() > 1) return backward_of_members(b);
    const plan::DenseShape shape = shape_of(b);
    const plan::ValueId delta = b.gradient_of(b.output());
    b.activate_backward(activation_of<T>(b.spec()), b.kept("z"), b.output(), delta);
    // First the gradient at the input: it needs the weights as they were, which the weight
    // gradient's pass may update.
    if (b.wants_gradient()) {
      b.give_gradient(
          0, [&](plan::ValueId to) { b.add(plan::input_gradient_step<T>(b, shape, delta, to)); });
    }
    b.add(b.reads_sparse_rows() ? plan::sparse_gradient_step<T>(b, shape, delta)
                                : plan::weight_gradient_step<T>(b, shape, b.input(), delta));
    if (shape.bias >= 0) b.add(plan::column_sum_step<T>(b, delta, shape.bias));
  }

  template <class T>
  static void forward_tangents(plan::Builder<T>& b) {
    const plan::DenseShape shape = shape_of(b);
    plan::cover_tangent_products(b, shape);
    const plan::ValueId x = plan::input_with_tangents(b);
    const plan::ValueId z = plan::value_with_tangents(b, b.width());
    b.add(plan::tangent_forward_step<T>(b, shape, x, z));
    b.keep("x", x);
    b.keep("z", z);
    b.set_output(
        plan::activate_with_tangents(b, activation_of<T>(b.spec()), z, b.width(), shape.bias));
  }

  template <class T>
  static void backward_tangents(plan::Builder<T>& b) {
    const plan::DenseShape shape = shape_of(b);
    const plan::ValueId delta = b.gradient_of(b.output());
    plan::activate_backward_with_tangents(b, activation_of<T>(b.spec()), b.kept("z"), b.output(),
                                          delta, b.width());
    if (b.wants_gradient()) {  // first, as in backward
      b.give_gradient(0, [&](plan::ValueId to) {
        b.add(plan::tangent_input_gradient_step<T>(b, shape, delta, to));
      });
    }
    b.add(plan::tangent_weight_gradient_step<T>(b, shape, b.kept("x"), delta));
    if (shape.bias >= 0) b.add(plan::tangent_bias_gradient_step<T>(b, shape, delta));
  }

  // By the name of the weight within the layer.
  template <class T>
  static plan::DenseShape shape_of(const plan::Builder<T>& b, const char* weight_name = "weight") {
    const nn::Parameter& weight = *b.parameter(weight_name);
    const nn::Parameter* const bias = b.parameter("bias");
    return {b.input_width(), b.width(), weight.offset, bias == nullptr ? -1 : bias->offset,
            weight.lies == nn::Lies::panels};
  }

 private:
  // The members of an ensemble are rows of one product.
  template <class T>
  static plan::BlocksShape shape_of_members(const plan::Builder<T>& b) {
    plan::BlocksShape shape;
    shape.count = b.members();
    shape.inputs = b.input_width() / shape.count;
    shape.units = b.width() / shape.count;
    shape.weight = b.parameter("weight")->offset;
    if (const nn::Parameter* const bias = b.parameter("bias")) shape.bias = bias->offset;
    shape.shared = true;
    return shape;
  }

  template <class T>
  static void forward_of_members(plan::Builder<T>& b) {
    const plan::BlocksShape shape = shape_of_members(b);
    plan::cover_blocks(b, shape);
    const plan::ValueId z = b.set_exact(b.value(b.width()));
    b.add(plan::blocks_forward_step<T>(b, shape, b.input(), z));
    b.keep("z", z);
    b.set_output(b.activate(activation_of<T>(b.spec()), z));
  }

  template <class T>
  static void backward_of_members(plan::Builder<T>& b) {
    const plan::BlocksShape shape = shape_of_members(b);
    const plan::ValueId delta = b.gradient_of(b.output());
    b.activate_backward(activation_of<T>(b.spec()), b.kept("z"), b.output(), delta);
    if (b.wants_gradient()) {
      b.give_gradient(0, [&](plan::ValueId to) {
        b.add(plan::blocks_input_gradient_step<T>(b, shape, delta, to));
      });
    }
    b.add(plan::blocks_weight_gradient_step<T>(b, shape, b.input(), delta));
    if (shape.bias >= 0) {
      b.add(plan::members_sum_step<T>(b, delta, shape.count, shape.bias));
    }
  }

  // Whether a panel of a few units wastes more of a vector than one of inputs. Where nothing before
  // it trains there is no gradient at its input that would gain what the forward pass loses.
  static bool lies_as_it_is(const Inputs& inputs, int64_t units) {
    constexpr int64_t kVector = 16;
    const int64_t width = inputs.width();
    const auto filled_up = [](int64_t n) { return (n + kVector - 1) / kVector * kVector; };
    if (inputs.of_network || units > INT64_MAX / 8 / filled_up(width)) return false;
    return filled_up(units) * width >= units * filled_up(width) * 5 / 4;
  }
};

}  // namespace gd::layers

#pragma once

// What layers that turn each number into several have in common: vectors a column, and a linear
// layer of each column's own behind.

#include <cmath>

#include "layers/layer.hpp"
#include "nn/initializers.hpp"
#include "plan/operations/blocks.hpp"
#include "plan/operations/column_sum.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::layers {

// A number for each of `each` places of every column, (columns, each).
inline nn::EntrySpec table_of(const std::string& name, int64_t columns, int64_t each) {
  nn::EntrySpec entry = vector_of(name, columns * each, 0);
  entry.shape = {columns, each};
  return entry;
}

// The same, drawn uniformly within 1 / sqrt(fan_in).
inline nn::EntrySpec drawn_table(const std::string& name, int64_t columns, int64_t each,
                                 int64_t fan_in) {
  nn::EntrySpec entry = table_of(name, columns, each);
  entry.initializer = "pytorch";
  entry.fan_in = fan_in;
  return entry;
}

// The weights of a linear layer for each column, (columns, inputs, units).
inline nn::EntrySpec matrices_of(const std::string& name, int64_t columns, int64_t inputs,
                                 int64_t units) {
  nn::EntrySpec entry;
  entry.name = name;
  entry.count = columns;
  entry.rows = inputs;
  entry.cols = units;
  entry.shape = {columns, inputs, units};
  entry.lies = nn::Lies::panels;
  entry.initializer = "pytorch";
  entry.fan_in = inputs;
  entry.fan_out = units;
  return entry;
}

// An option that counts something, at least 1.
inline int64_t count_option(const nn::LayerSpec& spec, const std::string& option) {
  const auto count = spec.get<int64_t>(option);
  base::require<base::ValueError>(count >= 1, option, " of layer '", spec.name,
                                  "' must be at least 1, got ", count);
  return count;
}

// Columns of a layer that makes `each` of every one it reads; ValueError where that overflows.
inline int64_t width_of(const nn::LayerSpec& spec, int64_t columns, int64_t each) {
  int64_t width = 0;
  base::require<base::ValueError>(!__builtin_mul_overflow(columns, each, &width),
                                  "the output of layer '", spec.name,
                                  "' is wider than can be addressed");
  return width;
}

// What backward of such a linear layer adds: the gradient at its input, before its weights may
// change, and those at its parameters. It returns the first; kNoValue if `wants` is false.
template <class T>
plan::ValueId blocks_backward(plan::Builder<T>& b, const plan::BlocksShape& shape, plan::ValueId x,
                              plan::ValueId delta, bool wants) {
  plan::ValueId at_input = plan::kNoValue;
  if (wants) {
    at_input = b.value(shape.count * shape.inputs);
    if (shape.shared) b.set_exact(at_input);
    b.add(plan::blocks_input_gradient_step<T>(b, shape, delta, at_input));
  }
  b.add(plan::blocks_weight_gradient_step<T>(b, shape, x, delta));
  if (shape.bias >= 0 && shape.shared) {
    b.add(plan::members_sum_step<T>(b, delta, shape.count, shape.bias));
  } else if (shape.bias >= 0) {
    b.add(plan::column_sum_step<T>(b, delta, shape.bias));
  }
  return at_input;
}

}  // namespace gd::layers

#pragma once

// Products of values whose columns are blocks side by side: a matrix for each block, or one for
// all of them.

#include "plan/builder.hpp"

namespace gd::plan {

// Blocks of columns, each `inputs` wide, that become as many of `units` columns.
struct BlocksShape {
  int64_t count = 1;
  int64_t inputs = 0;
  int64_t units = 0;
  int64_t weight = 0;  // of matrices (inputs, units) in panels, one a block or, shared, one
  int64_t bias = -1;   // (count, units) or, shared, (units,); -1: none
  // All blocks are rows of one product. The values have no gap between rows then
  // (Builder::set_exact), and no part of a batch may go through all layers alone.
  bool shared = false;
  // All blocks read the same columns.
  bool same_input = false;
};

// z = x W + b, block by block.
template <class T>
Step<T> blocks_forward_step(const Builder<T>& builder, const BlocksShape& shape, ValueId x,
                            ValueId z);
// The gradient at x, delta W^T, block by block; not of blocks that read the same columns.
template <class T>
Step<T> blocks_input_gradient_step(const Builder<T>& builder, const BlocksShape& shape,
                                   ValueId delta, ValueId to);
// dW = x^T delta, and the update of W where the batch asks for it.
template <class T>
Step<T> blocks_weight_gradient_step(const Builder<T>& builder, const BlocksShape& shape, ValueId x,
                                    ValueId delta);
// What all three pack.
template <class T>
void cover_blocks(Builder<T>& builder, const BlocksShape& shape);

}  // namespace gd::plan

#pragma once

// A dense layer's three matrix products.

#include "plan/builder.hpp"

namespace gd::plan {

// A dense layer's parameters; offsets in elements, bias -1 where there is none.
struct DenseShape {
  int64_t inputs = 0;
  int64_t units = 0;
  int64_t weight = 0;
  int64_t bias = -1;
  bool as_it_is = false;  // the weight, and not its transpose, lies in panels
};

// What a layer's products have in common.
template <class T>
struct DenseUse {
  DenseShape shape;
  ops::GemmScratch<T> scratch;
  ops::Precision precision;
  int64_t parameters = 0;  // of the network, which say how long parts of slices are

  // How a layer multiplies, in whichever of its three roles, hangs on the whole batch and not on
  // the part of it that a worker happens to have.
  int products(int64_t rows) const {
    return ops::bf16_products(precision, rows, shape.units, shape.inputs);
  }
};

// z = x W^T + b.
template <class T>
Step<T> dense_forward_step(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                           ValueId z);
// The gradient at x, delta W.
template <class T>
Step<T> input_gradient_step(const Builder<T>& builder, const DenseShape& shape, ValueId delta,
                            ValueId to);
// dW^T = x^T delta, and the update of W where the batch asks for it.
template <class T>
Step<T> weight_gradient_step(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                             ValueId delta);
// The gradient alone, whatever the batch asks for.
template <class T>
Step<T> plain_weight_gradient_step(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                                   ValueId delta);
// What all three pack.
template <class T>
void cover_products(Builder<T>& builder, const DenseShape& shape);

}  // namespace gd::plan

#pragma once

// A dense layer over sparse rows: what is zero there costs nothing.

#include "plan/operations/product.hpp"

namespace gd::plan {

// z = x W^T + b, x the sparse rows that the layer reads.
template <class T>
Step<T> sparse_forward_step(const Builder<T>& builder, const DenseShape& shape, ValueId z);

// dW^T = x^T delta, and the update of W where the batch asks for it: of all of W or, where it is
// sparse, of the columns that the batch has.
template <class T>
Step<T> sparse_gradient_step(const Builder<T>& builder, const DenseShape& shape, ValueId delta);

}  // namespace gd::plan

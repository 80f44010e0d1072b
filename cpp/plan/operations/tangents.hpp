#pragma once

// Values with their derivatives by the network's inputs, for a loss of both. Of a plan with D
// directions (BuildOptions) such a value of w columns is (N, (1 + D) w): of each sample its w
// numbers, then their derivatives by the first input, by the second, ... It has no gap, so that it
// is (N (1 + D), w) as well, and what is linear takes all of that as rows of one product. The
// gradient at such a value is that of the loss, with derivatives and all: going back through both
// is the second backward pass.

#include "plan/operations/product.hpp"

namespace gd::plan {

// A new value with derivatives, of so many columns.
template <class T>
ValueId value_with_tangents(Builder<T>& builder, int64_t cols);

// What a layer reads, with derivatives: those of the network's input are 1 and 0.
template <class T>
ValueId input_with_tangents(Builder<T>& builder, size_t i = 0);

// z = x W^T, without the bias, which only the numbers themselves have.
template <class T>
Step<T> tangent_forward_step(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                             ValueId z);
// The gradient at x.
template <class T>
Step<T> tangent_input_gradient_step(const Builder<T>& builder, const DenseShape& shape,
                                    ValueId delta, ValueId to);
// dW, and the update of W where the batch asks for it.
template <class T>
Step<T> tangent_weight_gradient_step(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                                     ValueId delta);
// The gradient at a bias.
template <class T>
Step<T> tangent_bias_gradient_step(const Builder<T>& builder, const DenseShape& shape,
                                   ValueId delta);
// What the products pack.
template <class T>
void cover_tangent_products(Builder<T>& builder, const DenseShape& shape);

// Adds the bias at `bias` to z, -1: none, and returns f(z). Kernels that have no `curve` must not
// come here, see layers::check_tangents.
template <class T>
ValueId activate_with_tangents(Builder<T>& builder, const ActivationUse<T>& use, ValueId z,
                               int64_t cols, int64_t bias);
// The gradient at z from that at `output`, which becomes it.
template <class T>
void activate_backward_with_tangents(Builder<T>& builder, const ActivationUse<T>& use, ValueId z,
                                     ValueId output, ValueId gradient, int64_t cols);

}  // namespace gd::plan

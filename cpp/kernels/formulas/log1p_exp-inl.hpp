#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels {
namespace {

// log(1 + exp(z)) without overflow: softplus, and the heart of the logistic loss.
template <class V>
V log1p_exp(V z) {
  const V tail = V::sub(V::set1(0), V::abs(z));
  return V::add(V::max(z, V::set1(0)), log1p(exp(tail)));
}

}  // namespace
}  // namespace gd::kernels

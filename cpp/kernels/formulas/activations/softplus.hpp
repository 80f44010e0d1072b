#pragma once

#include "kernels/formulas/log1p_exp-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = log(1 + exp(beta z)) / beta, f' = sigmoid(beta z)
struct softplus {
  static constexpr const char* name = "softplus";
  static constexpr const char* parameters = "beta";
  static constexpr bool from_output = false;

  template <class V>
  static V forward(V z, const typename V::scalar* p) {
    const V beta = V::set1(p[0]);
    return V::div(kernels::log1p_exp(V::mul(beta, z)), beta);
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar* p) {
    return V::mul(g, kernels::sigmoid(V::mul(V::set1(p[0]), z)));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

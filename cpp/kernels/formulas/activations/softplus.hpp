#pragma once

#include "kernels/math-inl.hpp"

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
    const V x = V::mul(beta, z);
    const V tail = kernels::log1p(kernels::exp(V::sub(V::set1(0), V::abs(x))));
    return V::div(V::add(V::max(x, V::set1(0)), tail), beta);
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar* p) {
    return V::mul(g, kernels::sigmoid(V::mul(V::set1(p[0]), z)));
  }

  template <class V>
  static V second(V z, const typename V::scalar* p) {
    const V beta = V::set1(p[0]), x = V::mul(beta, z);
    const V rest = kernels::sigmoid(V::sub(V::set1(0), x));
    return V::mul(beta, V::mul(kernels::sigmoid(x), rest));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = -log(1 + exp(-z)); f' = 1 - e^a, where an error of a makes none of f' that is relatively
// larger.
struct logsigmoid {
  static constexpr const char* name = "logsigmoid";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    const V zero = V::set1(0);
    const V tail = kernels::log1p(kernels::exp(V::sub(zero, V::abs(z))));
    return V::sub(V::min(zero, z), tail);
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar*) {
    return V::mul(g, V::sub(V::set1(0), kernels::expm1(a)));
  }

  template <class V>
  static V second(V a, const typename V::scalar*) {
    return V::mul(kernels::exp(a), kernels::expm1(a));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

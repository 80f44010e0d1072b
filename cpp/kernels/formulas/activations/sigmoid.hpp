#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = 1 / (1 + exp(-z)), f' = a (1 - a)
struct sigmoid {
  static constexpr const char* name = "sigmoid";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    return kernels::sigmoid(z);
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar*) {
    return V::mul(g, V::mul(a, V::sub(V::set1(1), a)));
  }

  template <class V>
  static V second(V a, const typename V::scalar*) {
    const V rest = V::sub(V::set1(1), a);
    return V::mul(V::mul(a, rest), V::sub(rest, a));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = tanh(z), f' = 1 - a^2
struct tanh {
  static constexpr const char* name = "tanh";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    return kernels::tanh(z);
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar*) {
    return V::mul(g, V::mul(V::sub(V::set1(1), a), V::add(V::set1(1), a)));
  }

  template <class V>
  static V second(V a, const typename V::scalar*) {
    const V slope = V::mul(V::sub(V::set1(1), a), V::add(V::set1(1), a));
    return V::mul(V::mul(V::set1(-2), a), slope);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

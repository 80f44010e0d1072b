#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = z (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (z + 0.044715 z^3): the tanh form of GELU.
struct gelu_tanh {
  static constexpr const char* name = "gelu_tanh";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = false;

  template <class V>
  static V inner(V z) {
    constexpr auto cubic = static_cast<typename V::scalar>(0.044715);
    constexpr auto sqrt_2_over_pi = static_cast<typename V::scalar>(0.79788456080286535588);
    const V z3 = V::mul(V::mul(z, z), z);
    return kernels::tanh(V::mul(V::set1(sqrt_2_over_pi), V::fma(V::set1(cubic), z3, z)));
  }

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    const V half = V::set1(static_cast<typename V::scalar>(0.5));
    return V::mul(z, V::fma(half, inner(z), half));
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar*) {
    // u' = sqrt(2 / pi) (1 + 3 * 0.044715 z^2)
    constexpr auto slope0 = static_cast<typename V::scalar>(0.79788456080286535588);
    constexpr auto slope2 = static_cast<typename V::scalar>(0.79788456080286535588 * 3 * 0.044715);
    const V half = V::set1(static_cast<typename V::scalar>(0.5));
    const V one = V::set1(1);
    const V t = inner(z);
    // Beyond 30 tanh' is 0, and z^3 must not become infinite beside it.
    const V near = V::max(V::set1(-30), V::min(V::set1(30), z));
    const V slope = V::fma(V::set1(slope2), V::mul(near, near), V::set1(slope0));
    const V steep = V::mul(V::mul(V::sub(one, t), V::add(one, t)), V::mul(slope, near));
    return V::mul(g, V::mul(half, V::add(V::add(one, t), steep)));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

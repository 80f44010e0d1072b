#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = z Phi(z), Phi(z) = (1 + erf(z / sqrt(2))) / 2; f' = Phi(z) + z phi(z). Where erf is near -1
// Phi comes from their distance, which keeps its digits.
struct gelu {
  static constexpr const char* name = "gelu";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = false;

  template <class V>
  static V cdf(V z) {
    constexpr auto inv_sqrt2 = static_cast<typename V::scalar>(0.70710678118654752440);
    const V half = V::set1(static_cast<typename V::scalar>(0.5));
    const V x = V::mul(z, V::set1(inv_sqrt2));
    const auto parts = kernels::erf_parts(x);
    const V end = V::set1(-Constants<V>::kErfHigh);
    const V tail = V::select(V::le(x, end), V::set1(0), V::mul(half, parts.tail));
    const V rest = V::fma(half, kernels::erf_of(parts, x), half);
    return V::select(V::lt(x, V::set1(-1)), tail, rest);
  }

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    return V::mul(z, cdf(z));
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar*) {
    constexpr auto inv_sqrt_two_pi = static_cast<typename V::scalar>(0.39894228040143267794);
    const V minus_half = V::set1(static_cast<typename V::scalar>(-0.5));
    const V density =
        V::mul(V::set1(inv_sqrt_two_pi), kernels::exp(V::mul(minus_half, V::mul(z, z))));
    return V::mul(g, V::fma(z, density, cdf(z)));
  }

  // phi(z) (2 - z^2); beyond 40 phi(z) is 0.
  template <class V>
  static V second(V z, const typename V::scalar*) {
    constexpr auto inv_sqrt_two_pi = static_cast<typename V::scalar>(0.39894228040143267794);
    const V near = V::max(V::set1(-40), V::min(V::set1(40), z));
    const V square = V::mul(near, near);
    const V minus_half = V::set1(static_cast<typename V::scalar>(-0.5));
    const V density = V::mul(V::set1(inv_sqrt_two_pi), kernels::exp(V::mul(minus_half, square)));
    return V::mul(density, V::sub(V::set1(2), square));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

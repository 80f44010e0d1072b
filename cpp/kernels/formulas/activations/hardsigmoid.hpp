#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = min(max((z + 3) / 6, 0), 1); f' is 1/6 where 0 < a < 1, else 0. Of z below 3 a stays below 1,
// where rounding would hide the slope: the nearest number to the largest of them is that.
struct hardsigmoid {
  static constexpr const char* name = "hardsigmoid";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    using T = typename V::scalar;
    constexpr T below_one = 1 - (kSinglePrecision<V> ? T(0x1p-24) : T(0x1p-53));
    const V three = V::set1(3);
    const V slope = V::min(V::set1(below_one), V::div(V::add(z, three), V::set1(6)));
    const V rest = V::select(V::ge(z, three), V::set1(1), slope);
    return V::select(V::le(z, V::set1(-3)), V::set1(0), rest);
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar*) {
    const V zero = V::set1(0);
    const V rest = V::select(V::ge(a, V::set1(1)), zero, V::div(g, V::set1(6)));
    return V::select(V::le(a, zero), zero, rest);
  }

  template <class V>
  static V second(V, const typename V::scalar*) {
    return V::set1(0);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

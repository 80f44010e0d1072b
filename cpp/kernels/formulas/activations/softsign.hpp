#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = z / (1 + |z|), f' = 1 / (1 + |z|)^2. Not from a: f' falls so slowly that what it loses where
// |a| is near 1 would be seen.
struct softsign {
  static constexpr const char* name = "softsign";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = false;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    const V one = V::set1(1), size = V::abs(z);
    const V a = V::div(z, V::add(one, size));
    return V::select(V::eq(size, V::set1(Constants<V>::kInfinity)), V::copysign(one, z), a);
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar*) {
    const V d = V::add(V::set1(1), V::abs(z));
    return V::div(g, V::mul(d, d));
  }

  template <class V>
  static V second(V z, const typename V::scalar*) {
    const V zero = V::set1(0), d = V::add(V::set1(1), V::abs(z));
    const V bend = V::div(V::copysign(V::set1(2), V::sub(zero, z)), V::mul(d, V::mul(d, d)));
    return V::select(V::eq(z, zero), zero, bend);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

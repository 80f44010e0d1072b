#pragma once

namespace gd::kernels::formulas {
namespace {

// a = z - lambd for z > lambd, z + lambd for z < -lambd, else 0 (lambd >= 0); f' is 1 where a is
// not 0.
struct softshrink {
  static constexpr const char* name = "softshrink";
  static constexpr const char* parameters = "lambd";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar* p) {
    const V by = V::set1(p[0]);
    const V rest = V::sub(z, V::copysign(by, z));  // of NaN NaN
    return V::select(V::le(V::abs(z), by), V::set1(0), rest);
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar*) {
    const V zero = V::set1(0);
    return V::select(V::eq(a, zero), zero, g);
  }

  template <class V>
  static V second(V, const typename V::scalar*) {
    return V::set1(0);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

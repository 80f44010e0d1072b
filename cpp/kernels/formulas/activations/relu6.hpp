#pragma once

namespace gd::kernels::formulas {
namespace {

// a = min(max(z, 0), 6); the derivative at 0 and at 6 is 0.
struct relu6 {
  static constexpr const char* name = "relu6";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    const V low = V::set1(0), high = V::set1(6);
    return V::select(V::le(z, low), low, V::select(V::ge(z, high), high, z));  // NaN stays NaN
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar*) {
    const V zero = V::set1(0);
    return V::select(V::le(a, zero), zero, V::select(V::ge(a, V::set1(6)), zero, g));
  }

  template <class V>
  static V second(V, const typename V::scalar*) {
    return V::set1(0);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

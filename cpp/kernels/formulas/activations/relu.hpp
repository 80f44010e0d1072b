#pragma once

namespace gd::kernels::formulas {
namespace {

// a = max(z, 0); the derivative at 0 is 0.
struct relu {
  static constexpr const char* name = "relu";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    const V zero = V::set1(0);
    return V::select(V::le(z, zero), zero, z);  // NaN stays NaN, which a maximum would hide
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar*) {
    return V::select(V::gt(a, V::set1(0)), g, V::set1(0));
  }

  template <class V>
  static V second(V, const typename V::scalar*) {
    return V::set1(0);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

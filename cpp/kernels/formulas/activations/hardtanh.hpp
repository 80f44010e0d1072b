#pragma once

namespace gd::kernels::formulas {
namespace {

// a = min(max(z, low), high) with low < high; the derivative at both ends is 0.
struct hardtanh {
  static constexpr const char* name = "hardtanh";
  static constexpr const char* parameters = "min_val,max_val";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar* p) {
    const V low = V::set1(p[0]), high = V::set1(p[1]);
    return V::select(V::le(z, low), low, V::select(V::ge(z, high), high, z));  // NaN stays NaN
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar* p) {
    const V zero = V::set1(0);
    return V::select(V::le(a, V::set1(p[0])), zero, V::select(V::ge(a, V::set1(p[1])), zero, g));
  }

  template <class V>
  static V second(V, const typename V::scalar*) {
    return V::set1(0);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

namespace gd::kernels::formulas {
namespace {

// a = z for z > 0, slope * z otherwise (slope >= 0, so a has the sign of z).
struct leaky_relu {
  static constexpr const char* name = "leaky_relu";
  static constexpr const char* parameters = "negative_slope";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar* p) {
    return V::select(V::gt(z, V::set1(0)), z, V::mul(z, V::set1(p[0])));
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar* p) {
    return V::select(V::gt(a, V::set1(0)), g, V::mul(g, V::set1(p[0])));
  }

  template <class V>
  static V second(V, const typename V::scalar*) {
    return V::set1(0);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

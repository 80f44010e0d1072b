#pragma once

namespace gd::kernels::formulas {
namespace {

// a = z min(max(z + 3, 0), 6) / 6; f' = 0 up to -3, 1 from 3 on, between them (2 z + 3) / 6, which
// keeps its digits about its zero.
struct hardswish {
  static constexpr const char* name = "hardswish";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = false;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    const V three = V::set1(3);
    const V between = V::div(V::mul(z, V::add(z, three)), V::set1(6));
    return V::select(V::le(z, V::set1(-3)), V::set1(0), V::select(V::ge(z, three), z, between));
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar*) {
    const V three = V::set1(3);
    const V between = V::mul(g, V::div(V::add(V::add(z, z), three), V::set1(6)));
    return V::select(V::le(z, V::set1(-3)), V::set1(0), V::select(V::ge(z, three), g, between));
  }

  template <class V>
  static V second(V z, const typename V::scalar*) {
    const V third = V::div(V::set1(1), V::set1(3));
    return V::select(V::lt(V::abs(z), V::set1(3)), third, V::set1(0));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

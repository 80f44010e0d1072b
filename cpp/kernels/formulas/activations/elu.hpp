#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = z for z > 0, alpha * (exp(z) - 1) otherwise (alpha >= 0).
struct elu {
  static constexpr const char* name = "elu";
  static constexpr const char* parameters = "alpha";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar* p) {
    const V low = V::mul(V::set1(p[0]), kernels::expm1(V::min(V::set1(0), z)));
    return V::select(V::gt(z, V::set1(0)), z, low);
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar* p) {
    const V low = V::mul(g, V::add(a, V::set1(p[0])));
    return V::select(V::gt(a, V::set1(0)), g, low);
  }

  template <class V>
  static V second(V a, const typename V::scalar* p) {
    return V::select(V::gt(a, V::set1(0)), V::set1(0), V::add(a, V::set1(p[0])));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

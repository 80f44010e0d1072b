#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = z for z > 0, alpha (exp(z / alpha) - 1) otherwise (alpha > 0); there f' is 1 + a / alpha.
struct celu {
  static constexpr const char* name = "celu";
  static constexpr const char* parameters = "alpha";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar* p) {
    const V alpha = V::set1(p[0]);
    const V low = V::mul(alpha, kernels::expm1(V::div(V::min(V::set1(0), z), alpha)));
    return V::select(V::gt(z, V::set1(0)), z, low);
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar* p) {
    const V low = V::mul(g, V::add(V::set1(1), V::div(a, V::set1(p[0]))));
    return V::select(V::gt(a, V::set1(0)), g, low);
  }

  template <class V>
  static V second(V a, const typename V::scalar* p) {
    const V alpha = V::set1(p[0]);
    const V low = V::div(V::add(a, alpha), V::mul(alpha, alpha));
    return V::select(V::gt(a, V::set1(0)), V::set1(0), low);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

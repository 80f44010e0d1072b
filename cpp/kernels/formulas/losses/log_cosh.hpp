#pragma once

#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// log(cosh(d)), d = y - t, averaged over outputs. Near 0 it is log(1 + 2 sinh(d / 2)^2), which
// keeps the digits of a small d; from 1 on |d| + log(1 + exp(-2 |d|)) - log 2 does not overflow.
struct log_cosh {
  static constexpr const char* name = "log_cosh";
  static constexpr const char* parameters = "";
  static constexpr Targets targets = Targets::any;

  template <class V>
  static V loss(V y, V t, const typename V::scalar*) {
    using T = typename V::scalar;
    const V one = V::set1(1), half = V::set1(static_cast<T>(0.5));
    const V a = V::abs(V::sub(y, t));
    const V near_a = V::min(a, one);
    const V e = kernels::expm1(V::mul(half, near_a));
    const V sinh = V::mul(half, V::add(e, V::div(e, V::add(e, one))));
    const V twice = V::add(sinh, sinh);
    const V near = kernels::log1p(V::mul(twice, sinh));
    const V rest = kernels::log1p(kernels::exp(V::sub(V::set1(0), V::add(a, a))));
    const V far = V::add(V::sub(a, V::set1(MathConstants<T>::kLn2)), rest);
    return V::select(V::lt(a, one), near, far);
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar*) {
    const V d = V::sub(y, t);
    return V::select(V::eq(d, d), kernels::tanh(d), d);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// d^2 / (2 beta) for |d| < beta, |d| - beta / 2 beyond, d = y - t, averaged over outputs. With beta
// 0 it is mae.
struct smooth_l1 {
  static constexpr const char* name = "smooth_l1";
  static constexpr const char* parameters = "beta";
  static constexpr Targets targets = Targets::any;

  template <class V>
  static V loss(V y, V t, const typename V::scalar* p) {
    const V beta = V::set1(p[0]);
    const V half = V::set1(static_cast<typename V::scalar>(0.5));
    const V d = V::abs(V::sub(y, t));
    const V square = V::div(V::mul(half, V::mul(d, d)), beta);
    return V::select(V::lt(d, beta), square, V::sub(d, V::mul(half, beta)));
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar* p) {
    const V beta = V::set1(p[0]), zero = V::set1(0);
    const V d = V::sub(y, t);
    const V far = V::select(V::eq(d, zero), zero, V::copysign(V::set1(1), d));
    // So that NaN stays NaN, whose sign is anything.
    return V::select(V::le(beta, V::abs(d)), far, V::div(d, beta));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

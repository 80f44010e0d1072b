#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// d^2 / 2 for |d| < delta, delta (|d| - delta / 2) beyond, d = y - t, averaged over outputs.
struct huber {
  static constexpr const char* name = "huber";
  static constexpr const char* parameters = "delta";
  static constexpr Targets targets = Targets::any;

  template <class V>
  static V loss(V y, V t, const typename V::scalar* p) {
    const V delta = V::set1(p[0]);
    const V half = V::set1(static_cast<typename V::scalar>(0.5));
    const V d = V::abs(V::sub(y, t));
    const V square = V::mul(half, V::mul(d, d));
    const V line = V::mul(delta, V::sub(d, V::mul(half, delta)));
    return V::select(V::lt(d, delta), square, line);
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar* p) {
    const V delta = V::set1(p[0]);
    const V d = V::sub(y, t);
    // So that NaN stays NaN, whose sign is anything.
    return V::select(V::le(delta, V::abs(d)), V::copysign(delta, d), d);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

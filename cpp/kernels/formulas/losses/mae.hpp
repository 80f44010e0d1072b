#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// |y - t|, averaged over outputs; the derivative at 0 is 0.
struct mae {
  static constexpr const char* name = "mae";
  static constexpr const char* parameters = "";
  static constexpr Targets targets = Targets::any;

  template <class V>
  static V loss(V y, V t, const typename V::scalar*) {
    return V::abs(V::sub(y, t));
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar*) {
    const V d = V::sub(y, t);
    const V sign = V::copysign(V::set1(1), d);
    // NaN stays NaN, whose sign is anything.
    return V::select(V::eq(d, V::set1(0)), V::set1(0), V::select(V::eq(d, d), sign, d));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// max(0, 1 - t y), averaged over outputs; t is -1 or 1. The derivative at t y = 1 is 0.
struct hinge {
  static constexpr const char* name = "hinge";
  static constexpr const char* parameters = "";
  static constexpr Targets targets = Targets::signs;

  template <class V>
  static V loss(V y, V t, const typename V::scalar*) {
    const V missing = V::sub(V::set1(1), V::mul(t, y));
    return V::select(V::le(missing, V::set1(0)), V::set1(0), missing);  // NaN stays NaN
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar*) {
    const V zero = V::set1(0);
    const V missing = V::sub(V::set1(1), V::mul(t, y));
    const V slope = V::select(V::gt(missing, zero), V::sub(zero, t), missing);
    return V::select(V::le(missing, zero), zero, slope);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// max(0, 1 - t y)^2, averaged over outputs; t is -1 or 1.
struct squared_hinge {
  static constexpr const char* name = "squared_hinge";
  static constexpr const char* parameters = "";
  static constexpr Targets targets = Targets::signs;

  template <class V>
  static V loss(V y, V t, const typename V::scalar*) {
    const V m = missing(y, t);
    return V::mul(m, m);
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar*) {
    return V::mul(V::mul(V::set1(-2), t), missing(y, t));
  }

 private:
  template <class V>
  static V missing(V y, V t) {
    const V m = V::sub(V::set1(1), V::mul(t, y));
    return V::select(V::le(m, V::set1(0)), V::set1(0), m);  // NaN stays NaN
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

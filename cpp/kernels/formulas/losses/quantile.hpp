#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// max(q d, (q - 1) d), d = t - y, averaged over outputs; the derivative at 0 is 0. The outputs are
// those of the first quantile q, then those of the second, and so on. Without quantiles q is 1/2.
struct quantile {
  static constexpr const char* name = "quantile";
  static constexpr const char* parameters = "";
  static constexpr const char* array = "quantiles";
  static constexpr int parts = 0;  // a quantile each
  static constexpr Targets targets = Targets::any;

  template <class V>
  static V loss(V y, V t, V q, const typename V::scalar*) {
    const V d = V::sub(t, y);
    return V::mul(d, V::select(V::gt(d, V::set1(0)), q, V::sub(q, V::set1(1))));
  }

  template <class V>
  static V gradient(V y, V t, V q, const typename V::scalar*) {
    const V zero = V::set1(0);
    const V d = V::sub(t, y);
    const V slope = V::select(V::gt(d, zero), V::sub(zero, q), V::sub(V::set1(1), q));
    // NaN stays NaN.
    return V::select(V::eq(d, zero), zero, V::select(V::eq(d, d), slope, d));
  }

  template <class V>
  static V loss(V y, V t, const typename V::scalar* p) {
    return loss(y, t, V::set1(static_cast<typename V::scalar>(0.5)), p);
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar* p) {
    return gradient(y, t, V::set1(static_cast<typename V::scalar>(0.5)), p);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

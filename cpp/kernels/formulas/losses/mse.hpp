#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// (y - t)^2, averaged over outputs.
struct mse {
  static constexpr const char* name = "mse";
  static constexpr const char* parameters = "";
  static constexpr Targets targets = Targets::any;

  template <class V>
  static V loss(V y, V t, const typename V::scalar*) {
    const V d = V::sub(y, t);
    return V::mul(d, d);
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar*) {
    return V::mul(V::set1(2), V::sub(y, t));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

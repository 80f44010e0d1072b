#pragma once

#include "kernels/formulas/log1p_exp-inl.hpp"
#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// -t log s(y) - (1 - t) log(1 - s(y)) = max(y, 0) - y t + log(1 + exp(-|y|)), s the sigmoid.
struct bce_with_logits {
  static constexpr const char* name = "bce_with_logits";
  static constexpr const char* parameters = "";
  static constexpr Targets targets = Targets::unit;

  template <class V>
  static V loss(V y, V t, const typename V::scalar*) {
    return V::sub(kernels::log1p_exp(y), V::mul(y, t));
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar*) {
    return V::sub(kernels::sigmoid(y), t);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// sum_k t_k (log t_k - y_k), y log-probabilities, t probabilities or, with log_target, their
// logarithms.
struct kl_div {
  static constexpr const char* name = "kl_div";
  static constexpr const char* parameters = "log_target";
  static constexpr Targets targets = Targets::unit;
  static constexpr int any_targets_if = 0;
  static constexpr bool summed = true;

  template <class V>
  static V loss(V y, V t, const typename V::scalar* p) {
    const V probability = p[0] != 0 ? kernels::exp(t) : t;
    const V log_t = p[0] != 0 ? t : kernels::log(t);
    const V term = V::mul(probability, V::sub(log_t, y));
    // What has no probability adds nothing, beside minus infinity too; NaN does.
    const V zero = V::set1(0);
    return V::select(V::eq(probability, zero), V::select(V::eq(y, y), zero, y), term);
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar* p) {
    const V probability = p[0] != 0 ? kernels::exp(t) : t;
    return V::select(V::eq(y, y), V::sub(V::set1(0), probability), y);  // NaN stays NaN
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// The Poisson distribution's -log p(t), averaged over outputs: with log_input exp(y) - t y, else
// y - t log(y + eps). full adds Stirling's t log t - t + log(2 pi t) / 2 where t > 1.
struct poisson_nll {
  static constexpr const char* name = "poisson_nll";
  static constexpr const char* parameters = "log_input,full,eps";
  static constexpr Targets targets = Targets::counts;

  template <class V>
  static V loss(V y, V t, const typename V::scalar* p) {
    V loss;
    if (p[0] != 0) {
      loss = V::sub(kernels::exp(y), V::mul(t, y));
    } else {
      loss = V::sub(y, V::mul(t, kernels::log(V::add(y, V::set1(p[2])))));
    }
    return p[1] != 0 ? V::add(loss, stirling(t)) : loss;
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar* p) {
    if (p[0] != 0) return V::sub(kernels::exp(y), t);
    return V::sub(V::set1(1), V::div(t, V::add(y, V::set1(p[2]))));
  }

 private:
  template <class V>
  static V stirling(V t) {
    using T = typename V::scalar;
    const V log_t = kernels::log(t);
    const V half_log_two_pi = V::set1(static_cast<T>(0.9189385332046727));
    const V half_log = V::fma(V::set1(static_cast<T>(0.5)), log_t, half_log_two_pi);
    const V term = V::add(V::sub(V::mul(t, log_t), t), half_log);
    return V::select(V::gt(t, V::set1(1)), term, V::set1(0));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

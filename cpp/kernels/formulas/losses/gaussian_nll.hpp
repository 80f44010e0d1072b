#pragma once

#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// The normal distribution's -log p(t), averaged over the targets: (log v + (m - t)^2 / v) / 2, full
// with log(2 pi) / 2 more. The first half of the outputs are the means m, the second the variances
// v, or with log_var their logarithms. A variance below eps counts as eps, and the derivative goes
// on as if it were the output, as PyTorch has it; exp needs no such end.
struct gaussian_nll {
  static constexpr const char* name = "gaussian_nll";
  static constexpr const char* parameters = "full,eps,log_var";
  static constexpr Targets targets = Targets::any;
  static constexpr bool row_wise = true;
  static constexpr int parts = 2;

  template <class Samples, class V = typename Samples::vector, class T = typename V::scalar>
  static V loss(Samples& samples, const T* p) {
    const V half = V::set1(static_cast<T>(0.5)), one = V::set1(1);
    const V eps = V::set1(p[1]);
    const bool log_var = p[2] != 0;
    const V pairs = V::set1(static_cast<T>(samples.pairs()));
    const V factor = V::div(samples.scale(), pairs);
    const V sum = samples.sum_of_pairs([&](auto at) {
      const V z = samples.prediction(samples.second(at));
      const V d = V::sub(samples.prediction(at), samples.target(at));
      const V v = V::max(eps, z);  // NaN is kept
      const V share = log_var ? V::mul(d, kernels::exp(V::sub(V::set1(0), z))) : V::div(d, v);
      const V squares = V::mul(share, d);
      if (samples.wants_gradient()) {
        const V slope = V::mul(half, V::sub(one, squares));
        samples.set_gradient(at, V::mul(factor, share));
        samples.set_gradient(samples.second(at),
                             V::mul(factor, log_var ? slope : V::div(slope, v)));
      }
      return V::mul(half, V::add(log_var ? z : kernels::log(v), squares));
    });
    const V mean = V::div(sum, pairs);
    return p[0] != 0 ? V::add(mean, V::set1(static_cast<T>(0.9189385332046727))) : mean;
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// The normal distribution's -log p(t), averaged over the targets: (log v + (m - t)^2 / v) / 2, full
// with log(2 pi) / 2 more. The first half of the outputs are the means m, the second the variances
// v, or with log_var their logarithms; a variance below eps counts as eps, and the derivative goes
// on as if it were the output, as PyTorch has it.
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
    const V pairs = V::set1(static_cast<T>(samples.pairs()));
    const V factor = V::div(samples.scale(), pairs);
    const V sum = samples.sum_of_pairs([&](auto at) {
      const V z = samples.prediction(samples.second(at));
      const V given = p[2] != 0 ? kernels::exp(z) : z;
      const V v = V::max(eps, given);  // NaN is kept
      const V d = V::sub(samples.prediction(at), samples.target(at));
      const V share = V::div(d, v);
      const V squares = V::mul(share, d);
      if (samples.wants_gradient()) {
        // (1 - d^2 / v) / 2v, and times v for the logarithm.
        const V slope = V::mul(half, V::sub(one, squares));
        const V by = V::div(p[2] != 0 ? V::mul(slope, given) : slope, v);
        samples.set_gradient(at, V::mul(factor, share));
        samples.set_gradient(samples.second(at), V::mul(factor, by));
      }
      return V::mul(half, V::add(kernels::log(v), squares));
    });
    const V mean = V::div(sum, pairs);
    return p[0] != 0 ? V::add(mean, V::set1(static_cast<T>(0.9189385332046727))) : mean;
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

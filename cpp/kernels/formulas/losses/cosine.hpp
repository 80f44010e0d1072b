#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// 1 - sum_k y_k t_k / (max(|y|, eps) max(|t|, eps)), |.| the Euclidean norm of a sample's outputs.
struct cosine {
  static constexpr const char* name = "cosine";
  static constexpr const char* parameters = "eps";
  static constexpr Targets targets = Targets::any;
  static constexpr bool row_wise = true;

  template <class Samples, class V = typename Samples::vector, class T = typename V::scalar>
  static V loss(Samples& samples, const T* p) {
    const V one = V::set1(1), zero = V::set1(0), eps = V::set1(p[0]);
    const auto y = [&](auto at) { return samples.prediction(at); };
    const auto t = [&](auto at) { return samples.target(at); };
    const V y_norm = V::sqrt(samples.sum([&](auto at) { return V::mul(y(at), y(at)); }));
    const V t_norm = V::sqrt(samples.sum([&](auto at) { return V::mul(t(at), t(at)); }));
    const V y_size = V::max(eps, y_norm), t_size = V::max(eps, t_norm);  // NaN is kept
    // Each by its own size: a product of both may be beyond what there is.
    const V similarity =
        samples.sum([&](auto at) { return V::mul(V::div(y(at), y_size), V::div(t(at), t_size)); });
    if (samples.wants_gradient()) {
      // -(t / |t| - similarity y / |y|) / |y|; where |y| counts as eps it does not move with y.
      const V moves = V::select(V::lt(y_norm, eps), zero, similarity);
      const V factor = V::div(samples.scale(), y_size);
      samples.each([&](auto at) {
        const V along = V::mul(moves, V::div(y(at), y_size));
        samples.set_gradient(at, V::mul(factor, V::sub(along, V::div(t(at), t_size))));
      });
    }
    return V::sub(one, similarity);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

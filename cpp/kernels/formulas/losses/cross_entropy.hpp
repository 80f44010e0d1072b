#pragma once

#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// -sum_c q_c log softmax(y)_c over the classes c of one sample. q is the target distribution p (one
// at the label, or given) smoothed: q = (1 - e) p + e / classes.
struct cross_entropy {
  static constexpr const char* name = "cross_entropy";
  static constexpr const char* parameters = "label_smoothing";
  static constexpr Targets targets = Targets::categories;
  static constexpr bool row_wise = true;

  template <class Samples, class V = typename Samples::vector, class T = typename V::scalar>
  static V loss(Samples& samples, const T* p) {
    const V smoothing = V::set1(p[0]);
    const V keep = V::set1(1 - p[0]);
    const V spread = V::set1(p[0] / static_cast<T>(samples.outputs()));

    // log softmax(y)_c = y_c - top - log_sum
    const V top = samples.max();
    const V sum = samples.sum([&](auto at) {
      const V e = kernels::exp(V::sub(samples.prediction(at), top));
      if (samples.wants_gradient()) samples.set_gradient(at, e);
      return e;
    });
    const V log_sum = kernels::log(sum);

    // With q_c as weights: loss = q_total (top + log_sum) - sum_c q_c y_c, each term shifted by
    // top.
    V loss, q_total = V::set1(1);
    const auto shifted = [&](auto at) { return below_top(samples.prediction(at), top); };
    const auto q_of = [&](auto at) { return V::fma(keep, samples.target(at), spread); };
    if (samples.labelled()) {
      loss = V::mul(keep, V::sub(log_sum, V::sub(samples.of_label(), top)));
      if (p[0] != 0) {
        const V others = V::mul(spread, samples.sum(shifted));
        loss = V::add(loss, V::sub(V::mul(smoothing, log_sum), others));
      }
    } else {
      q_total = samples.sum(q_of);
      const V weighted = samples.sum([&](auto at) { return V::mul(q_of(at), shifted(at)); });
      loss = V::sub(V::mul(q_total, log_sum), weighted);
    }
    if (!samples.wants_gradient()) return loss;

    // scale (q_total softmax(y) - q)
    const V factor = V::div(q_total, sum);
    const bool labelled = samples.labelled();
    samples.each([&](auto at) {
      const V soft = V::mul(factor, samples.gradient(at));
      const V q = labelled ? spread : q_of(at);
      samples.set_gradient(at, V::mul(samples.scale(), V::sub(soft, q)));
    });
    if (labelled) samples.take_from_label(V::mul(samples.scale(), keep));
    return loss;
  }

 private:
  // y - top, kept finite: a weight of zero times minus infinity would not be zero.
  template <class V, class T = typename V::scalar>
  static V below_top(V y, V top) {
    constexpr T lowest =
        sizeof(T) == sizeof(float) ? static_cast<T>(-__FLT_MAX__) : static_cast<T>(-__DBL_MAX__);
    return V::max(V::set1(lowest), V::sub(y, top));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

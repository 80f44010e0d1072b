#pragma once

#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// -sum_c q_c log softmax(y)_c over the classes c of one sample. q is the target distribution p (one
// at the label, or given) smoothed and weighted: q_c = w_c ((1 - e) p_c + e / classes).
// ignore_index is for who reads labels.
struct cross_entropy {
  static constexpr const char* name = "cross_entropy";
  static constexpr const char* parameters = "label_smoothing,ignore_index";
  static constexpr const char* array = "class_weight";
  static constexpr bool weighs_labels = true;
  static constexpr Targets targets = Targets::categories;
  static constexpr bool row_wise = true;

  template <class Samples, class V = typename Samples::vector, class T = typename V::scalar>
  static V loss(Samples& samples, const T* p) {
    const V zero = V::set1(0), one = V::set1(1), half = V::set1(static_cast<T>(0.5));
    const V smoothing = V::set1(p[0]);
    const V keep = V::set1(1 - p[0]);
    const V spread = V::set1(p[0] / static_cast<T>(samples.outputs()));

    // softmax(y)_c = exp(y_c - top) / (1 + rest), where rest leaves out one output at the top: of a
    // confident answer it is small, and would lose its digits beside the 1.
    const V top = samples.max();
    const auto below = samples.sum_below_one([&](auto at) {
      const V e = kernels::exp(V::sub(samples.prediction(at), top));
      if (samples.wants_gradient()) samples.set_gradient(at, e);
      return e;
    });
    const V rest = V::add(below.sum, V::sub(below.others, one));
    const V sum = V::add(one, rest);
    // log(1 + rest), with what is lost of rest in the sum.
    const V lost = V::sub(rest, V::sub(sum, one));
    const V log_sum = V::add(kernels::log(sum), V::div(lost, sum));

    // With q_c as weights: loss = q_total log_sum + sum_c q_c (top - y_c). The distance may be
    // beyond the largest number where its share is not, so halves are taken, and q_c twice.
    V loss, q_total = one;
    const V half_top = V::mul(half, top);
    const auto half_distance = [&](V y) { return V::sub(half_top, V::mul(half, y)); };
    const bool weighted = samples.has_array();
    const auto times_weight = [&](auto at, V v) {
      return weighted ? V::mul(samples.of_array(at), v) : v;
    };
    const auto q_of = [&](auto at) {
      return times_weight(at, V::fma(keep, samples.target(at), spread));
    };
    // A weight of zero counts as zero beside minus infinity too.
    const auto share = [&](V q, V y) {
      return V::select(V::eq(q, zero), zero, V::mul(V::add(q, q), half_distance(y)));
    };
    const bool labelled = samples.labelled();
    const V weight = weighted && labelled ? samples.of_array_at_label() : one;
    const V kept = V::mul(keep, weight);
    if (labelled) {
      loss = V::fma(V::add(kept, kept), half_distance(samples.of_label()), V::mul(kept, log_sum));
      if (weighted) {
        // Beside minus infinity.
        loss = V::select(V::eq(kept, zero), zero, loss);
        q_total = kept;
      }
      if (p[0] != 0) {
        V smoothed = smoothing;
        if (weighted) {
          smoothed = samples.sum([&](auto at) { return V::mul(spread, samples.of_array(at)); });
          q_total = V::add(kept, smoothed);
        }
        const V others = samples.sum(
            [&](auto at) { return share(times_weight(at, spread), samples.prediction(at)); });
        loss = V::add(loss, V::fma(smoothed, log_sum, others));
      }
    } else {
      q_total = samples.sum(q_of);
      const V distance =
          samples.sum([&](auto at) { return share(q_of(at), samples.prediction(at)); });
      loss = V::fma(q_total, log_sum, distance);
    }
    if (!samples.wants_gradient()) return loss;

    // scale (q_total softmax(y) - q). Where that is most of q_total and y at the top, softmax(y)
    // may be near 1, and is 1 - rest / sum.
    const V factor = V::div(q_total, sum);
    const V missing = V::mul(factor, rest);
    const auto gradient = [&](V e, V q) {
      const V plain = V::fma(factor, e, V::sub(zero, q));
      const V from_one = V::sub(V::sub(q_total, q), missing);
      const V at_the_top = V::select(V::gt(V::add(q, q), q_total), from_one, plain);
      const V g = V::select(V::lt(e, one), plain, at_the_top);
      return V::mul(samples.scale(), g);
    };
    if (!labelled) {
      samples.each(
          [&](auto at) { samples.set_gradient(at, gradient(samples.gradient(at), q_of(at))); });
      return loss;
    }
    const V q_of_label = V::mul(weight, V::add(keep, spread));
    const V of_label = gradient(samples.gradient_of_label(), q_of_label);
    const V minus_spread = V::sub(zero, spread);
    samples.set_gradients(of_label, [&](auto at) {
      const V minus_q = times_weight(at, minus_spread);
      return V::mul(samples.scale(), V::fma(factor, samples.gradient(at), minus_q));
    });
    return loss;
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

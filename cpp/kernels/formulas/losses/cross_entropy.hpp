#pragma once

#include "kernels/lanes-inl.hpp"
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

  // The loss of sample i; its gradient, times scale, goes to r.gradient if that is wanted.
  template <class V, class T = typename V::scalar>
  static T row(const LossRows<T>& r, int64_t i, T scale) {
    const int64_t classes = r.outputs;
    const T* y = r.prediction + i * r.ldp;
    const T* p = r.labels == nullptr ? r.target + i * r.ldt : nullptr;
    // Read once: labels are the caller's, and another thread must not make us write out of bounds.
    const int64_t given = r.labels == nullptr ? 0 : r.labels[i];
    const bool in_range = given >= 0 && given < classes;
    const int64_t label = in_range ? given : 0;
    const T keep = 1 - r.parameters[0];
    const T spread = r.parameters[0] / static_cast<T>(classes);

    const T top = lane_max<V>(classes, y);
    const V top_v = V::set1(top);
    const T sum = lane_sum<V>(classes, [&](int64_t at, int n) {
      // exp(-infinity) is 0, so the padding adds nothing.
      const T lowest = -static_cast<T>(__builtin_inff());
      return kernels::exp(V::sub(load_lanes<V>(y, at, n, lowest), top_v));
    });
    T log_lanes[V::width];
    V::store(log_lanes, kernels::log(V::set1(sum)));
    const T log_sum = log_lanes[0];  // log softmax(y)_c = y_c - top - log_sum

    // With q_c as weights: loss = q_total (top + log_sum) - sum_c q_c y_c, each term shifted by
    // top.
    T loss = 0;
    T q_total = 1;
    if (p == nullptr) {
      loss = keep * (log_sum - (y[label] - top));
      if (spread != 0) {
        const T shifted = lane_sum<V>(classes, [&](int64_t at, int n) {
          return below_top<V>(load_lanes<V>(y, at, n, top), top_v);
        });
        loss += r.parameters[0] * log_sum - spread * shifted;
      }
    } else {
      const V keep_v = V::set1(keep);
      const auto q_of = [&](int64_t at, int n) {
        return V::fma(keep_v, load_lanes<V>(p, at, n, 0), first_lanes<V>(spread, n));
      };
      q_total = lane_sum<V>(classes, q_of);
      const T weighted = lane_sum<V>(classes, [&](int64_t at, int n) {
        return V::mul(q_of(at, n), below_top<V>(load_lanes<V>(y, at, n, top), top_v));
      });
      loss = q_total * log_sum - weighted;
    }
    if (r.gradient != nullptr) gradient<V>(r, i, {top, sum, q_total, keep, spread, scale, label});
    return in_range ? loss : not_a_number<T>();
  }

 private:
  // What a row's gradient takes over from its loss.
  template <class T>
  struct Row {
    T top, sum, q_total, keep, spread, scale;
    int64_t label;
  };

  template <class T>
  static constexpr T not_a_number() {
    return static_cast<T>(__builtin_nanf(""));
  }

  template <class V, class T = typename V::scalar>
  static constexpr T lowest() {
    return sizeof(T) == sizeof(float) ? static_cast<T>(-__FLT_MAX__) : static_cast<T>(-__DBL_MAX__);
  }

  // y - top, kept finite: a weight of zero times minus infinity would not be zero.
  template <class V>
  static V below_top(V y, V top) {
    return V::max(V::set1(lowest<V>()), V::sub(y, top));
  }

  // `value` in the first n lanes, 0 in the rest.
  template <class V, class T = typename V::scalar>
  static V first_lanes(T value, int n) {
    if (n == V::width) return V::set1(value);
    T lanes[V::width];
    V::store(lanes, V::set1(value));
    return V::load(lanes, n, 0);
  }

  // scale (q_total softmax(y) - q)
  template <class V, class T = typename V::scalar>
  static void gradient(const LossRows<T>& r, int64_t i, const Row<T>& row) {
    const T* y = r.prediction + i * r.ldp;
    T* g = r.gradient + i * r.ldg;
    const V top_v = V::set1(row.top);
    const V factor = V::set1(row.q_total / row.sum);
    const V spread_v = V::set1(row.spread);
    const V keep_v = V::set1(row.keep);
    const V scale_v = V::set1(row.scale);
    const auto part = [&](int64_t at, int n) {
      const V soft = V::mul(factor, kernels::exp(V::sub(load_lanes<V>(y, at, n, row.top), top_v)));
      V q = spread_v;
      if (r.labels == nullptr) {
        q = V::fma(keep_v, load_lanes<V>(r.target + i * r.ldt, at, n, 0), q);
      }
      return V::mul(scale_v, V::sub(soft, q));
    };
    for_vectors<V>(
        r.outputs, [&](int64_t j) { V::store(g + j, part(j, V::width)); },
        [&](int64_t j, int n) { V::store(g + j, n, part(j, n)); });
    if (r.labels != nullptr) g[row.label] -= row.scale * row.keep;
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

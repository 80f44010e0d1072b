#pragma once

// Two ways through a batch for a loss, which is written once for both: along the outputs of one
// sample, or, where they are few, through one output of as many samples as a vector has lanes.
// Sums are those of lanes-inl.hpp either way, bit for bit.
//
// A loss sees, with a place standing for a vector of outputs:
//   outputs(), labelled()        how many; whether targets are labels
//   prediction(at), target(at)
//   max()                        of the predictions
//   sum(term)                    of term(at) over the outputs
//   sum_below_one(term)          of the terms that are below one, and how many are not
//   each(body)                   body(at) for all places
//   gradient(at)                 what set_gradient(at, v) left; both only where wants_gradient()
//   of_label()                   the prediction at the label
//   gradient_of_label()          the same of the gradient
//   set_gradients(v, body)       to body(at), and to v at the label
//   has_array(), of_array(at), of_array_at_label()    what it was given beside, see LossArray
//   pairs(), second(at), sum_of_pairs(term)           of outputs in two parts, as long as each
// What belongs to a sample (max, sum, a loss) is a vector too: the same in all lanes along the
// outputs, a sample's own in each lane through samples.

#include <cstdint>

#include "kernels/lanes-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// What multiplies the gradient of sample i. In double: the reciprocal of a sum of weights may be
// beyond float.
template <class T>
inline T gradient_scale(const LossRows<T>& r, int64_t i) {
  const double weight = r.weights == nullptr ? 1.0 : static_cast<double>(r.weights[i]);
  return static_cast<T>(weight / r.weight_sum);
}

// A label is the caller's, and another thread must not make us read out of bounds: it is read once.
// The loss of a wrong one is not a number.
template <class T>
inline T loss_or_nan(bool label_in_range, T loss) {
  return label_in_range ? loss : static_cast<T>(__builtin_nanf(""));
}

template <class V>
struct SumBelowOne {
  V sum;
  V others;  // how many
};
template <class V>
inline V one_or_zero(V v) {
  return V::select(V::ge(v, V::set1(1)), V::set1(1), V::set1(0));
}
template <class V>
inline V zero_from_one(V v) {
  return V::select(V::ge(v, V::set1(1)), V::set1(0), v);
}

template <class V>
class AlongOutputs {
 public:
  using vector = V;
  using T = typename V::scalar;
  struct Place {
    int64_t at;
    int n;
  };

  // These are inlined by command: with many losses in one file the compiler would rather not.
  [[gnu::always_inline]] AlongOutputs(const LossRows<T>& rows, int64_t i)
      : outputs_(rows.outputs),
        prediction_(rows.prediction + i * rows.ldp),
        target_(rows.labels == nullptr ? rows.target + i * rows.ldt : nullptr),
        gradient_(rows.gradient == nullptr ? nullptr : rows.gradient + i * rows.ldg),
        array_(rows.array),
        scale_(V::set1(gradient_scale(rows, i))) {
    if (rows.labels == nullptr) return;
    const int64_t given = rows.labels[i];
    in_range_ = given >= 0 && given < outputs_;
    label_ = in_range_ ? given : 0;
  }

  int64_t outputs() const { return outputs_; }
  bool labelled() const { return target_ == nullptr; }
  bool wants_gradient() const { return gradient_ != nullptr; }
  V scale() const { return scale_; }

  [[gnu::always_inline]] V prediction(Place p) const {
    return load_lanes<V>(prediction_ + p.at, 0, p.n, 0);
  }
  [[gnu::always_inline]] V target(Place p) const {
    return load_lanes<V>(target_ + p.at, 0, p.n, 0);
  }
  V gradient(Place p) const { return load_lanes<V>(gradient_ + p.at, 0, p.n, 0); }
  void set_gradient(Place p, V v) { V::store(gradient_ + p.at, p.n, v); }

  bool has_array() const { return array_ != nullptr; }
  V of_array(Place p) const { return load_lanes<V>(array_ + p.at, 0, p.n, 0); }
  V of_array_at_label() const { return V::set1(array_[label_]); }

  V max() const { return V::set1(lane_max<V>(outputs_, prediction_)); }

  template <class Term>
  V sum(Term term) {
    return sum_of(outputs_, term);
  }

  int64_t pairs() const { return outputs_ / 2; }
  Place second(Place p) const { return {p.at + pairs(), p.n}; }
  template <class Term>
  V sum_of_pairs(Term term) {
    return sum_of(pairs(), term);
  }

  template <class Term>
  SumBelowOne<V> sum_below_one(Term term) {
    V others = V::set1(0);
    const V below = sum([&](Place p) {
      const V v = term(p);
      others = V::add(others, first_lanes(one_or_zero(v), p.n));
      return zero_from_one(v);
    });
    T lanes[V::width];
    V::store(lanes, others);
    T count = 0;
    for (const T each : lanes) count += each;
    return {below, V::set1(count)};
  }

  template <class Body>
  void each(Body body) {
    for_vectors<V>(
        outputs_, [&](int64_t at) { body(Place{at, V::width}); },
        [&](int64_t at, int n) { body(Place{at, n}); });
  }

  V of_label() const { return V::set1(prediction_[label_]); }
  V gradient_of_label() const { return V::set1(gradient_[label_]); }
  template <class Body>
  void set_gradients(V of_label, Body body) {
    each([&](Place p) { set_gradient(p, body(p)); });
    T lanes[V::width];
    V::store(lanes, of_label);
    gradient_[label_] = lanes[0];
  }

  void finish(V loss, T* sample_loss) const {
    T lanes[V::width];
    V::store(lanes, loss);
    *sample_loss = loss_or_nan(in_range_, lanes[0]);
  }

 private:
  template <class Term>
  V sum_of(int64_t count, Term term) {
    return V::set1(lane_sum<V>(count, [&](int64_t at, int n) {
      if (n == 0) return V::set1(0);
      return first_lanes(term(Place{at, n}), n);  // what lies behind the outputs need not be zero
    }));
  }

  static V first_lanes(V v, int n) {
    if (n == V::width) return v;
    T lanes[V::width];
    V::store(lanes, v);
    return V::load(lanes, n, 0);
  }

  int64_t outputs_;
  const T* prediction_;
  const T* target_;
  T* gradient_;
  const T* array_;
  V scale_;
  int64_t label_ = 0;
  bool in_range_ = true;
};

template <class V>
class ThroughSamples {
 public:
  using vector = V;
  using T = typename V::scalar;
  using Place = int64_t;  // an output

  // One for each virtual lane of a sum.
  static constexpr int64_t kMostOutputs = kLanes;
  // Fewer samples are quicker one by one.
  static constexpr int64_t kFewestSamples = (V::width + 3) / 4;

  // Samples [i, i + count).
  ThroughSamples(const LossRows<T>& rows, int64_t i, int count)
      : rows_(rows), first_(i), count_(count) {
    read(rows.prediction + i * rows.ldp, rows.ldp, prediction_);
    if (rows.labels == nullptr) read(rows.target + i * rows.ldt, rows.ldt, target_);
    T labels[V::width], scales[V::width];
    for (int s = 0; s < V::width; ++s) {
      const int64_t given = s >= count || rows.labels == nullptr ? 0 : rows.labels[i + s];
      in_range_[s] = given >= 0 && given < rows.outputs;
      labels[s] = in_range_[s] ? static_cast<T>(given) : 0;
    }
    label_ = V::load(labels);
    if (rows.weights == nullptr) {
      scale_ = V::set1(gradient_scale(rows, i));
      return;
    }
    for (int s = 0; s < V::width; ++s) scales[s] = s < count ? gradient_scale(rows, i + s) : 0;
    scale_ = V::load(scales);
  }

  int64_t outputs() const { return rows_.outputs; }
  bool labelled() const { return rows_.labels != nullptr; }
  bool wants_gradient() const { return rows_.gradient != nullptr; }
  V scale() const { return scale_; }

  V prediction(Place at) const { return prediction_[at]; }
  V target(Place at) const { return target_[at]; }
  V gradient(Place at) const { return gradient_[at]; }
  void set_gradient(Place at, V v) { gradient_[at] = v; }

  V max() const {
    V top = V::set1(-static_cast<T>(__builtin_inff()));
    for (int64_t at = 0; at < outputs(); ++at) top = V::max(prediction_[at], top);
    return top;
  }

  bool has_array() const { return rows_.array != nullptr; }
  V of_array(Place at) const { return V::set1(rows_.array[at]); }
  V of_array_at_label() const {
    V found = of_array(0);
    for (int64_t at = 1; at < outputs(); ++at) found = V::select(is_label(at), of_array(at), found);
    return found;
  }

  template <class Term>
  V sum(Term term) {
    return sum_of(outputs(), term);
  }

  int64_t pairs() const { return outputs() / 2; }
  Place second(Place at) const { return at + pairs(); }
  template <class Term>
  V sum_of_pairs(Term term) {
    return sum_of(pairs(), term);
  }

  template <class Term>
  SumBelowOne<V> sum_below_one(Term term) {
    V others = V::set1(0);
    const V below = sum([&](Place at) {
      const V v = term(at);
      others = V::add(others, one_or_zero(v));
      return zero_from_one(v);
    });
    return {below, others};
  }

  template <class Body>
  void each(Body body) {
    for (int64_t at = 0; at < outputs(); ++at) body(at);
  }

  V of_label() const { return at_label(prediction_); }
  V gradient_of_label() const { return at_label(gradient_); }
  template <class Body>
  void set_gradients(V of_label, Body body) {
    for (int64_t at = 0; at < outputs(); ++at) {
      gradient_[at] = V::select(is_label(at), of_label, body(at));
    }
  }

  void finish(V loss, T* sample_loss) {
    T lanes[V::width];
    V::store(lanes, loss);
    for (int s = 0; s < count_; ++s) sample_loss[s] = loss_or_nan(in_range_[s], lanes[s]);
    if (wants_gradient()) write_gradient();
  }

 private:
  // The tree of Lanes::fold, without the branches that hold zero.
  template <class Term>
  V sum_of(int64_t count, Term term) {
    V lanes[kMostOutputs];
    lanes[0] = V::set1(0);
    for (int64_t at = 0; at < count; ++at) lanes[at] = V::add(V::set1(0), term(at));
    for (int64_t half = kLanes / 2, left = count; half > 0; half /= 2) {
      for (int64_t at = half; at < left; ++at) {
        lanes[at - half] = V::add(lanes[at - half], lanes[at]);
      }
      left = left < half ? left : half;
    }
    return lanes[0];
  }

  typename V::Mask is_label(Place at) const { return V::eq(V::set1(static_cast<T>(at)), label_); }

  V at_label(const V* columns) const {
    V found = columns[0];
    for (int64_t at = 1; at < outputs(); ++at) found = V::select(is_label(at), columns[at], found);
    return found;
  }

  int squares_end(int64_t at) const { return clamp_to_width<V>(outputs() - at); }

  // columns[at] = output `at` of all samples; zeros where there is no sample.
  void read(const T* from, int64_t stride, V* columns) const {
    for (int64_t at = 0; at < outputs(); at += V::width) {
      const int n = squares_end(at);
      V* const square = columns + at;
#pragma GCC unroll 16
      for (int s = 0; s < V::width; ++s) {
        square[s] = s < count_ ? V::load(from + s * stride + at, n, 0) : V::set1(0);
      }
      V::transpose(square);
    }
  }

  void write_gradient() {
    T* const to = rows_.gradient + first_ * rows_.ldg;
    for (int64_t at = 0; at < outputs(); at += V::width) {
      const int n = squares_end(at);
      for (int c = n; c < V::width; ++c) gradient_[at + c] = V::set1(0);
      V::transpose(gradient_ + at);
      for (int s = 0; s < count_; ++s) V::store(to + s * rows_.ldg + at, n, gradient_[at + s]);
    }
  }

  const LossRows<T>& rows_;
  int64_t first_;
  int count_;
  V label_;
  V scale_;
  bool in_range_[V::width];
  V prediction_[kMostOutputs];
  V target_[kMostOutputs];
  V gradient_[kMostOutputs];
};

}  // namespace
}  // namespace gd::kernels

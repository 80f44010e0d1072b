#include "plan/operations/pointwise.hpp"

#include <algorithm>
#include <limits>

#include "ops/elementwise.hpp"

namespace gd::plan {

namespace {

constexpr int64_t kAllColumns = std::numeric_limits<int64_t>::max();

template <class T>
class Activation final : public Operation<T> {
 public:
  Activation(const Step<T>& step, const Places<T>& places)
      : Operation<T>(
            step.zone, step.phase, step.node, places.max_workers,
            pass_cost<T>(places.of(step.alone->to).cols, 1, step.alone->is_backward ? 3 : 2)),
        activation_(*step.alone),
        to_(places.of(step.alone->to)),
        other_(places.of(step.alone->other)) {}

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override {
    const ActivationUse<T>& use = activation_.use;
    if (activation_.members > 1) return work_on_members(worker, batch);
    if (activation_.is_backward) {
      ops::activation_backward<T>(worker, this->queue(), *use.kernel, use.parameters.data(),
                                  other_.in(batch), to_.out(batch));
    } else {
      ops::activation_forward<T>(worker, this->queue(), *use.kernel, use.parameters.data(),
                                 other_.in(batch), to_.out(batch));
    }
  }

  // The same, where rows are those of an ensemble's members.
  void work_on_members(ops::Worker& worker, const Batch<T>& batch) {
    const ActivationUse<T>& use = activation_.use;
    const int64_t members = activation_.members;
    const auto apart = [members](auto view) {
      view.rows *= members;
      view.cols /= members;
      view.stride /= members;
      return view;
    };
    if (activation_.is_backward) {
      ops::activation_backward<T>(worker, this->queue(), *use.kernel, use.parameters.data(),
                                  apart(other_.in(batch)), apart(to_.out(batch)));
    } else {
      ops::activation_forward<T>(worker, this->queue(), *use.kernel, use.parameters.data(),
                                 apart(other_.in(batch)), apart(to_.out(batch)));
    }
  }

  Pointwise<T> activation_;
  Rows<T> to_;
  Rows<T> other_;
};

}  // namespace

template <class T>
Step<T> activation_step(int node, const Pointwise<T>& activation) {
  const bool backward = activation.is_backward;
  Step<T> step{backward ? Zone::kActivationBackward : Zone::kActivationForward,
               backward ? Zone::kBackward : Zone::kForward, node};
  step.reads = {activation.other};
  if (backward) step.reads.push_back(activation.to);
  step.writes = {activation.to};
  step.alone = activation;
  step.make = [](const Step<T>& made, const Places<T>& places) {
    return std::make_unique<Activation<T>>(made, places);
  };
  return step;
}

template <class T>
Step<T> copy_step(int node, ValueId from, ValueId to) {
  return copy_columns_step<T>(Zone::kBackward, node, {from, 0}, {to, 0}, kAllColumns);
}

template <class T>
Step<T> copy_columns_step(Zone phase, int node, Columns from, Columns to, int64_t count) {
  Step<T> step(Zone::kAdd, phase, node, {from.value}, {to.value});
  step.make = [from, to, count](const Step<T>& made, const Places<T>& places) {
    const Rows<T>& source = places.of(from.value);
    const Rows<T>& target = places.of(to.value);
    const int64_t cols = std::min(count, source.cols);
    return row_pass<T>(made, places, pass_cost<T>(cols, 0, 2), cols,
                       [=](const Batch<T>& batch, int64_t begin, int64_t rows) {
                         const auto in = source.in(batch);
                         const auto out = target.out(batch);
                         for (int64_t i = begin; i < begin + rows; ++i) {
                           std::copy_n(in.row(i) + from.begin, cols, out.row(i) + to.begin);
                         }
                       });
  };
  return step;
}

template <class T>
Step<T> add_step(int node, ValueId sum, ValueId term) {
  Step<T> step = sum_step<T>(node, sum, term, sum);
  step.phase = Zone::kBackward;
  return step;
}

template <class T>
Step<T> sum_step(int node, ValueId a, ValueId b, ValueId sum) {
  Step<T> step{Zone::kAdd, Zone::kForward, node, {a, b}, {sum}};
  step.make = [a, b, sum](const Step<T>& made, const Places<T>& places) {
    const Rows<T>& one = places.of(a);
    const Rows<T>& other = places.of(b);
    const Rows<T>& target = places.of(sum);
    return row_pass<T>(made, places, pass_cost<T>(one.cols, 1, 3), one.cols,
                       [one, other, target](const Batch<T>& batch, int64_t begin, int64_t count) {
                         const auto x = one.in(batch);
                         const auto y = other.in(batch);
                         const auto out = target.out(batch);
                         for (int64_t i = begin; i < begin + count; ++i) {
                           const std::span<const T> row(x.row(i), static_cast<size_t>(x.cols));
                           ops::add_parts<T>(row, y.row(i), 0, 1, out.row(i));
                         }
                       });
  };
  return step;
}

template <class T>
Step<T> product_step(int node, ValueId a, ValueId b, ValueId to) {
  Step<T> step(Zone::kActivationBackward, Zone::kBackward, node, {a, b}, {to});
  step.make = [a, b, to](const Step<T>& made, const Places<T>& places) {
    const Rows<T> one = places.of(a), other = places.of(b), target = places.of(to);
    return row_pass<T>(made, places, pass_cost<T>(one.cols, 1, 3), one.cols,
                       [=](const Batch<T>& batch, int64_t begin, int64_t count) {
                         const auto x = one.in(batch);
                         const auto y = other.in(batch);
                         const auto out = target.out(batch);
                         for (int64_t i = begin; i < begin + count; ++i) {
                           const T* const left = x.row(i);
                           const T* const right = y.row(i);
                           T* const put = out.row(i);
                           for (int64_t j = 0; j < x.cols; ++j) put[j] = left[j] * right[j];
                         }
                       });
  };
  return step;
}

#define GD_INSTANTIATE(T)                                                   \
  template Step<T> activation_step(int, const Pointwise<T>&);               \
  template Step<T> copy_step(int, ValueId, ValueId);                        \
  template Step<T> copy_columns_step(Zone, int, Columns, Columns, int64_t); \
  template Step<T> product_step(int, ValueId, ValueId, ValueId);            \
  template Step<T> add_step(int, ValueId, ValueId);                         \
  template Step<T> sum_step(int, ValueId, ValueId, ValueId);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::plan

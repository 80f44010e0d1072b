#include "plan/operations/pointwise.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

namespace gd::plan {

namespace {

constexpr int64_t kAllColumns = std::numeric_limits<int64_t>::max();

template <class T>
int64_t values_touched(const Pointwise<T>& what) {
  return what.other == kNoValue ? 2 : 3;
}

template <class T>
class RowPass final : public Operation<T> {
 public:
  RowPass(const Step<T>& step, const Places<T>& places, Cost cost, int64_t cols, PassBody<T> body)
      : Operation<T>(step.zone, step.phase, step.node, places.max_workers, cost),
        cols_(cols),
        body_(std::move(body)),
        starts_(step.starts, places),
        finishes_(step.finishes, places) {
    if (step.takes != kNoValue) taken_ = places.of(step.takes).cols;
    if (step.result != kNoValue) made_ = places.of(step.result).cols;
  }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override {
    ops::for_rows(worker, this->queue(), batch.rows, cols_, [&](int64_t begin, int64_t count) {
      if (!starts_.empty()) starts_.run(batch, {begin, count, 0, taken_});
      body_(batch, begin, count);
      if (!finishes_.empty()) finishes_.run(batch, {begin, count, 0, made_});
    });
  }

  int64_t cols_;
  PassBody<T> body_;
  Finishes<T> starts_;
  Finishes<T> finishes_;
  int64_t taken_ = 0;  // columns of what it takes, and of its result
  int64_t made_ = 0;
};

std::vector<ValueId> those_there(const std::vector<ValueId>& values) {
  std::vector<ValueId> there;
  std::ranges::copy_if(values, std::back_inserter(there),
                       [](ValueId value) { return value != kNoValue; });
  return there;
}

}  // namespace

template <class T>
std::unique_ptr<Operation<T>> row_pass(const Step<T>& step, const Places<T>& places, Cost cost,
                                       int64_t cols, PassBody<T> body) {
  return std::make_unique<RowPass<T>>(step, places, cost, cols, std::move(body));
}

template <class T>
Step<T> rows_step(Zone zone, Zone phase, int node, const std::vector<ValueId>& reads,
                  const std::vector<ValueId>& writes, int64_t flops_an_element, RowsBody<T> body) {
  Step<T> step(zone, phase, node, those_there(reads), those_there(writes));
  step.takes = reads.back();
  step.result = writes.back();
  step.make = [=](const Step<T>& made, const Places<T>& places) {
    AllRows<T> from, to;
    int64_t cols = 1, touched = 0;
    const auto place = [&](const std::vector<ValueId>& values, AllRows<T>& rows) {
      for (size_t v = 0; v < values.size(); ++v) {
        if (values[v] == kNoValue) continue;
        rows.at(v) = places.of(values[v]);
        cols = std::max(cols, rows[v].cols);
        touched += rows[v].cols;
      }
    };
    place(reads, from);
    place(writes, to);
    Cost cost;
    cost.flops_a_row = flops_an_element * cols;
    cost.bytes_a_row = touched * static_cast<int64_t>(sizeof(T));
    return row_pass<T>(made, places, cost, cols,
                       [body, from, to](const Batch<T>& batch, int64_t begin, int64_t count) {
                         body(batch, from, to, begin, count);
                       });
  };
  return step;
}

template <class T>
Step<T> pointwise_step(Zone zone, Zone phase, int node, const Pointwise<T>& what) {
  Step<T> step(zone, phase, node, {what.from}, {what.to});
  if (what.other != kNoValue) step.reads.push_back(what.other);
  step.alone = what;
  step.result = what.to;
  step.make = [](const Step<T>& made, const Places<T>& places) {
    const Finishes<T> body({*made.alone}, places);
    const int64_t cols = places.of(made.alone->to).cols;
    return row_pass<T>(made, places, pass_cost<T>(cols, 1, values_touched(*made.alone)), cols,
                       [=](const Batch<T>& batch, int64_t begin, int64_t rows) {
                         body.run(batch, {begin, rows, 0, cols});
                       });
  };
  return step;
}

template <class T>
Step<T> activation_step(int node, const Pointwise<T>& activation) {
  const bool forward = activation.kind == Pointwise<T>::Kind::activation;
  return pointwise_step<T>(forward ? Zone::kActivationForward : Zone::kActivationBackward,
                           forward ? Zone::kForward : Zone::kBackward, node, activation);
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
  return pointwise_step<T>(Zone::kAdd, Zone::kBackward, node,
                           {Pointwise<T>::Kind::add, term, sum, sum});
}

template <class T>
Step<T> sum_step(int node, ValueId a, ValueId b, ValueId sum) {
  return pointwise_step<T>(Zone::kAdd, Zone::kForward, node, {Pointwise<T>::Kind::add, b, sum, a});
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

#define GD_INSTANTIATE(T)                                                                          \
  template std::unique_ptr<Operation<T>> row_pass(const Step<T>&, const Places<T>&, Cost, int64_t, \
                                                  PassBody<T>);                                    \
  template Step<T> rows_step(Zone, Zone, int, const std::vector<ValueId>&,                         \
                             const std::vector<ValueId>&, int64_t, RowsBody<T>);                   \
  template Step<T> pointwise_step(Zone, Zone, int, const Pointwise<T>&);                           \
  template Step<T> activation_step(int, const Pointwise<T>&);                                      \
  template Step<T> copy_step(int, ValueId, ValueId);                                               \
  template Step<T> copy_columns_step(Zone, int, Columns, Columns, int64_t);                        \
  template Step<T> product_step(int, ValueId, ValueId, ValueId);                                   \
  template Step<T> add_step(int, ValueId, ValueId);                                                \
  template Step<T> sum_step(int, ValueId, ValueId, ValueId);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::plan

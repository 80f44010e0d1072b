#pragma once

// Passes over whole values, row by row: what no other step finishes or starts with, copies, sums.

#include <algorithm>
#include <array>

#include "ops/elementwise.hpp"
#include "plan/operations/finishes.hpp"

namespace gd::plan {

// A step that is nothing but this, which passes may join to others.
template <class T>
Step<T> pointwise_step(Zone zone, Zone phase, int node, const Pointwise<T>& what);

// to = f(from), or from = from * f'(other).
template <class T>
Step<T> activation_step(int node, const Pointwise<T>& activation);

// to = from.
template <class T>
Step<T> copy_step(int node, ValueId from, ValueId to);

// Columns of a value, from one on.
struct Columns {
  ValueId value;
  int64_t begin;
};

// `count` columns of one value to those of another.
template <class T>
Step<T> copy_columns_step(Zone phase, int node, Columns from, Columns to, int64_t count);

// sum = sum + term.
template <class T>
Step<T> add_step(int node, ValueId sum, ValueId term);

// sum = a + b.
template <class T>
Step<T> sum_step(int node, ValueId a, ValueId b, ValueId sum);

// to = a b, element by element, on the way back.
template <class T>
Step<T> product_step(int node, ValueId a, ValueId b, ValueId to);

// What a pass over values of that many columns costs.
template <class T>
Cost pass_cost(int64_t cols, int64_t flops_an_element, int64_t values_touched) {
  Cost cost;
  cost.flops_a_row = flops_an_element * cols;
  cost.bytes_a_row = values_touched * cols * static_cast<int64_t>(sizeof(T));
  return cost;
}

// An operation over rows, each by itself, which body(rows) does for some of them.
template <class T, class Body>
class RowPass final : public Operation<T> {
 public:
  RowPass(const Step<T>& step, const Places<T>& places, Cost cost, int64_t cols, Body body)
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
  Body body_;
  Finishes<T> starts_;
  Finishes<T> finishes_;
  int64_t taken_ = 0;  // columns of what it takes, and of its result
  int64_t made_ = 0;
};

template <class T, class Body>
std::unique_ptr<Operation<T>> row_pass(const Step<T>& step, const Places<T>& places, Cost cost,
                                       int64_t cols, Body body) {
  return std::make_unique<RowPass<T, Body>>(step, places, cost, cols, std::move(body));
}

// Most values that a step of rows reads, or writes.
inline constexpr size_t kMostInRow = 4;

// body(batch, in, out) for each row by itself: `in` has the row of each value that is read, `out`
// of each that is written. What is kNoValue is null there; of what is read and is for all samples
// together it is the first row. Passes may join others to the last of what it reads and writes.
template <class T, class Body>
Step<T> row_step(Zone zone, Zone phase, int node, const std::vector<ValueId>& reads,
                 const std::vector<ValueId>& writes, int64_t flops_an_element, Body body) {
  Step<T> step(zone, phase, node);
  const auto named = [](const std::vector<ValueId>& values) {
    std::vector<ValueId> there;
    std::ranges::copy_if(values, std::back_inserter(there),
                         [](ValueId value) { return value != kNoValue; });
    return there;
  };
  step.reads = named(reads);
  step.writes = named(writes);
  step.takes = reads.back();
  step.result = writes.back();
  step.make = [=](const Step<T>& made, const Places<T>& places) {
    using AllRows = std::array<Rows<T>, kMostInRow>;
    AllRows from, to;
    int64_t cols = 1, touched = 0;
    const auto place = [&](const std::vector<ValueId>& values, AllRows& rows) {
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
                       [=](const Batch<T>& batch, int64_t begin, int64_t rows) {
                         for (int64_t i = begin; i < begin + rows; ++i) {
                           std::array<const T*, kMostInRow> in{};
                           std::array<T*, kMostInRow> out{};
                           for (size_t v = 0; v < kMostInRow; ++v) {
                             if (from[v].cols == 0) continue;
                             in[v] = from[v].of_all() ? from[v].data : from[v].in(batch).row(i);
                           }
                           for (size_t v = 0; v < kMostInRow; ++v) {
                             if (to[v].cols > 0) out[v] = to[v].out(batch).row(i);
                           }
                           body(batch, in, out);
                         }
                       });
  };
  return step;
}

}  // namespace gd::plan

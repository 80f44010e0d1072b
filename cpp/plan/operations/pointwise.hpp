#pragma once

// Passes over whole values, row by row: what no other step finishes or starts with, copies, sums.

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

}  // namespace gd::plan

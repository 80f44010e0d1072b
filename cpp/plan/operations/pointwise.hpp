#pragma once

// Passes over whole values, row by row: activations that no product finishes with, copies, sums.

#include "ops/elementwise.hpp"
#include "plan/step.hpp"

namespace gd::plan {

// to = f(other), or to = to * f'(other).
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
  RowPass(const Step<T>& step, int max_workers, Cost cost, int64_t cols, Body body)
      : Operation<T>(step.zone, step.phase, step.node, max_workers, cost),
        cols_(cols),
        body_(std::move(body)) {}

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override {
    ops::for_rows(worker, this->queue(), batch.rows, cols_,
                  [&](int64_t begin, int64_t count) { body_(batch, begin, count); });
  }

  int64_t cols_;
  Body body_;
};

template <class T, class Body>
std::unique_ptr<Operation<T>> row_pass(const Step<T>& step, const Places<T>& places, Cost cost,
                                       int64_t cols, Body body) {
  return std::make_unique<RowPass<T, Body>>(step, places.max_workers, cost, cols, std::move(body));
}

}  // namespace gd::plan

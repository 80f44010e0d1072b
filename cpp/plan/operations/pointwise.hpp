#pragma once

// Passes over whole values, row by row: what no other step finishes or starts with, copies, sums.

#include <algorithm>
#include <array>
#include <functional>

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

// body(batch, begin, count) does some rows. Passes are compiled once for all bodies.
template <class T>
using PassBody = std::function<void(const Batch<T>&, int64_t begin, int64_t count)>;

// An operation over rows, each by itself.
template <class T>
std::unique_ptr<Operation<T>> row_pass(const Step<T>& step, const Places<T>& places, Cost cost,
                                       int64_t cols, PassBody<T> body);

// Most values that a step of rows reads, or writes.
inline constexpr size_t kMostInRow = 4;
template <class T>
using AllRows = std::array<Rows<T>, kMostInRow>;

// body(batch, from, to, begin, count) for some rows; see row_step.
template <class T>
using RowsBody = std::function<void(const Batch<T>&, const AllRows<T>& from, const AllRows<T>& to,
                                    int64_t begin, int64_t count)>;
template <class T>
Step<T> rows_step(Zone zone, Zone phase, int node, const std::vector<ValueId>& reads,
                  const std::vector<ValueId>& writes, int64_t flops_an_element, RowsBody<T> body);

// body(batch, in, out) for each row by itself: `in` has the row of each value that is read, `out`
// of each that is written. What is kNoValue is null there; of what is read and is for all samples
// together it is the first row. Passes may join others to the last of what it reads and writes.
template <class T, class Body>
Step<T> row_step(Zone zone, Zone phase, int node, const std::vector<ValueId>& reads,
                 const std::vector<ValueId>& writes, int64_t flops_an_element, Body body) {
  return rows_step<T>(zone, phase, node, reads, writes, flops_an_element,
                      [body](const Batch<T>& batch, const AllRows<T>& from, const AllRows<T>& to,
                             int64_t begin, int64_t rows) {
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
}

}  // namespace gd::plan

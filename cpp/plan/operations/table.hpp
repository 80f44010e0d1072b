#pragma once

// Tables of which a batch reads the rows that its codes name: the lookup, and the gradients.

#include <vector>

#include "ops/seen_rows.hpp"
#include "plan/builder.hpp"

namespace gd::plan {

// (rows, width) in the flat buffers, one row after the other.
struct TableShape {
  int64_t offset = 0;
  int64_t rows = 0;
  int64_t width = 0;
  int64_t column = 0;             // where its rows begin in the layer's output
  ops::SeenRows* seen = nullptr;  // of a sparse one
};

// Row i of `to` is table k's row codes[i, k] for each table, side by side.
template <class T>
Step<T> lookup_step(const Builder<T>& builder, ValueId codes, const std::vector<TableShape>& tables,
                    ValueId to);

// The gradient at the tables, and their update where the batch asks for it: each of their rows is
// the sum of those rows of `gradient` whose code it is, in order, in parts of batch.part rows. The
// update is of all rows with the zeros of those that the batch has not read, or, where a table is
// sparse, of those that it has read alone.
template <class T>
Step<T> table_gradient_step(const Builder<T>& builder, ValueId codes,
                            const std::vector<TableShape>& tables, ValueId gradient);

}  // namespace gd::plan

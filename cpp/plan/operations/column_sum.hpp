#pragma once

// The gradient of a parameter that every row adds to: column sums of a value.

#include "plan/builder.hpp"

namespace gd::plan {

// The gradient at the vector at `offset`, and its update where the batch asks for it.
template <class T>
Step<T> column_sum_step(const Builder<T>& builder, ValueId value, int64_t offset);

// The same where a row of the value holds so many rows of the vector's size side by side, without a
// gap to the next row.
template <class T>
Step<T> members_sum_step(const Builder<T>& builder, ValueId value, int64_t members, int64_t offset);

// Sums over rows of a b, element by element; where a has more columns than b, b comes again and
// again.
struct ColumnProductUse {
  ValueId a = kNoValue;
  ValueId b = kNoValue;
  int64_t offset = -1;    // of the vector whose gradient that is
  ValueId to = kNoValue;  // or where it goes: a value for all samples
};
template <class T>
Step<T> column_product_step(const Builder<T>& builder, const ColumnProductUse& use);

}  // namespace gd::plan

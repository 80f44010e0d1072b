#pragma once

// The gradient of a parameter that every row adds to: column sums of a value.

#include "plan/builder.hpp"

namespace gd::plan {

// The gradient at the vector at `offset`, and its update where the batch asks for it.
template <class T>
Step<T> column_sum_step(const Builder<T>& builder, ValueId value, int64_t offset);

}  // namespace gd::plan

#pragma once

// Passes over all rows of some columns at a time, for layers whose rows see each other.

#include "plan/operations/pointwise.hpp"

namespace gd::plan {

// Columns that a worker takes at a time: as many as one draw of dropout has words for, or fewer
// where some worker would have nothing to do.
inline constexpr int64_t kMostColumns = 128;
inline constexpr int64_t kLeastColumns = 16;  // a cache line

constexpr int64_t columns_at_once(int64_t cols, int workers) {
  int64_t count = kMostColumns;
  while (workers > 1 && count > kLeastColumns && cols < 2 * workers * count) count /= 2;
  return count;
}

// An operation over columns, each by itself; body(batch, begin, count) does up to kMostColumns.
template <class T>
std::unique_ptr<Operation<T>> column_pass(const Step<T>& step, const Places<T>& places, Cost cost,
                                          int64_t cols, int64_t updates, PassBody<T> body);

}  // namespace gd::plan

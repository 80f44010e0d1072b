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
template <class T, class Body>
class ColumnPass final : public Operation<T> {
 public:
  ColumnPass(const Step<T>& step, const Places<T>& places, Cost cost, int64_t cols, int64_t updates,
             Body body)
      : Operation<T>(step.zone, step.phase, step.node, places.max_workers, cost),
        cols_(cols),
        updates_(updates),
        body_(std::move(body)),
        starts_(step.starts, places),
        finishes_(step.finishes, places) {}
  int64_t updates() const override { return updates_; }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override {
    const int64_t most = columns_at_once(cols_, worker.count());
    this->queue().for_each(worker, (cols_ + most - 1) / most, [&](int64_t piece) {
      const int64_t begin = piece * most;
      const int64_t count = std::min(most, cols_ - begin);
      const Piece columns{0, batch.rows, begin, count};
      if (!starts_.empty()) starts_.run(batch, columns);
      body_(batch, begin, count);
      if (!finishes_.empty()) finishes_.run(batch, columns);
    });
  }

  int64_t cols_;
  int64_t updates_;
  Body body_;
  Finishes<T> starts_;
  Finishes<T> finishes_;
};

template <class T, class Body>
std::unique_ptr<Operation<T>> column_pass(const Step<T>& step, const Places<T>& places, Cost cost,
                                          int64_t cols, int64_t updates, Body body) {
  return std::make_unique<ColumnPass<T, Body>>(step, places, cost, cols, updates, std::move(body));
}

}  // namespace gd::plan

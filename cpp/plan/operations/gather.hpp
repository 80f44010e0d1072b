#pragma once

#include <span>
#include <vector>

#include "plan/operation.hpp"

namespace gd::plan {

template <class T>
struct GatherBuffers {
  T* x = nullptr;        // (capacity, inputs)
  T* target = nullptr;   // (capacity, outputs)
  T* weights = nullptr;  // (capacity,)
};

// Copies chosen rows of a dataset side by side, so that all that follows reads a plain batch.
template <class T>
class Gather final : public Operation<T> {
 public:
  Gather(int64_t inputs, int64_t outputs, int64_t capacity, const GatherBuffers<T>& to,
         int max_workers);

  // Says what the next run copies; returns the batch as the operations after it will see it.
  // `weight_sum` of `from` must be that of the rows at the indices.
  Batch<T> prepare(const Batch<T>& from, std::span<const int64_t> indices);

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  int64_t inputs_;
  int64_t outputs_;
  GatherBuffers<T> to_;
  std::vector<int64_t> labels_;
  Batch<T> from_;
  std::span<const int64_t> indices_;
};

}  // namespace gd::plan

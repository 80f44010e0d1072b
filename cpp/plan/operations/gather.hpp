#pragma once

#include <span>
#include <vector>

#include "plan/operation.hpp"

namespace gd::plan {

template <class T>
struct GatherBuffers {
  T* x = nullptr;        // (capacity, inputs)
  T* target = nullptr;   // (capacity, outputs); of several heads side by side
  T* weights = nullptr;  // (capacity,); of several heads one after the other
};

// Copies chosen rows of a dataset side by side, so that all that follows reads a plain batch.
template <class T>
class Gather final : public Operation<T> {
 public:
  // `heads`: the outputs of each where there are several losses, else empty.
  Gather(int64_t inputs, int64_t outputs, const std::vector<int64_t>& heads, int64_t capacity,
         const GatherBuffers<T>& to, int max_workers);

  // Says what the next run copies; returns the batch as the operations after it will see it.
  // `weight_sum` of `from` must be that of the rows at the indices.
  Batch<T> prepare(const Batch<T>& from, std::span<const int64_t> indices);

 private:
  struct Head {
    int64_t outputs;
    T* target;  // a row lies outputs_ behind the one before
    int64_t* labels;
    T* weights;
  };

  void work(ops::Worker& worker, const Batch<T>& batch) override;
  void copy_heads(int64_t row, int64_t to) const;

  int64_t inputs_;
  int64_t outputs_;
  GatherBuffers<T> to_;
  std::vector<int64_t> labels_;
  std::vector<Head> heads_;
  std::vector<HeadBatch<T>> gathered_;  // of each head
  Batch<T> from_;
  std::span<const int64_t> indices_;
};

}  // namespace gd::plan

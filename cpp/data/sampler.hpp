#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gd::data {

// The order of an epoch, cut into batches: of its own a permutation that depends on (seed, epoch)
// alone.
class BatchSampler {
 public:
  BatchSampler(int64_t samples, int64_t batch_size);

  void shuffle(uint64_t seed, uint64_t epoch);
  void take(std::span<const int64_t> order);  // another's permutation
  bool shuffled() const { return !order_.empty(); }

  int64_t batches() const;
  int64_t batch_begin(int64_t batch) const { return batch * batch_size_; }
  int64_t batch_rows(int64_t batch) const;              // the last one may be short
  std::span<const int64_t> batch(int64_t batch) const;  // once shuffled

 private:
  int64_t samples_;
  int64_t batch_size_;
  std::vector<int64_t> order_;  // empty until shuffled: no order needs no memory
};

}  // namespace gd::data

#include "data/sampler.hpp"

#include <algorithm>
#include <numeric>

#include "base/philox.hpp"

namespace gd::data {

BatchSampler::BatchSampler(int64_t samples, int64_t batch_size)
    : samples_(samples), batch_size_(batch_size) {}

void BatchSampler::shuffle(uint64_t seed, uint64_t epoch) {
  order_.resize(static_cast<size_t>(samples_));
  std::iota(order_.begin(), order_.end(), int64_t{0});
  base::RandomStream random(base::StreamPurpose::shuffle, seed, epoch);
  // Fisher and Yates: each element changes places with one not yet settled.
  for (auto left = static_cast<uint64_t>(samples_); left > 1; --left) {
    std::swap(order_[left - 1], order_[random.below(left)]);
  }
}

void BatchSampler::take(std::span<const int64_t> order) {
  order_.assign(order.begin(), order.end());
}

int64_t BatchSampler::batches() const { return (samples_ + batch_size_ - 1) / batch_size_; }

int64_t BatchSampler::batch_rows(int64_t batch) const {
  return std::min(batch_size_, samples_ - batch_begin(batch));
}

std::span<const int64_t> BatchSampler::batch(int64_t batch) const {
  return {order_.data() + batch_begin(batch), static_cast<size_t>(batch_rows(batch))};
}

}  // namespace gd::data

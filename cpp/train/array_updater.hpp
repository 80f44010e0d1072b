#pragma once

#include <atomic>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "optim/elementwise_rule.hpp"
#include "parallel/fork_safe_mutex.hpp"
#include "profiling/sources.hpp"

namespace gd::train {

// An update rule at work on arrays somebody else owns, in place; the states are here.
template <class T>
class ArrayUpdater {
 public:
  ArrayUpdater(std::string rule, std::vector<double> hyper, std::vector<int64_t> sizes);

  // One step; both hold the arrays in order, of the sizes given at construction. Where gradients
  // are to be checked and one is not finite, nothing changes and its index is returned.
  std::optional<size_t> step(std::span<T* const> weights,
                             std::span<const std::span<const T>> gradients, bool checks_finite);

  double lr() const { return lr_; }
  void set_lr(double lr);  // ValueError where T cannot hold it
  const std::vector<int64_t>& sizes() const { return sizes_; }

 private:
  profiling::SourceNumber source_;  // for recordings
  parallel::ForkSafeMutex mutex_;
  optim::ElementwiseRule<T> rule_;
  std::vector<int64_t> sizes_;
  std::vector<base::AlignedBuffer<T>> states_;  // rule.states() for the first array, then the next
  std::atomic<double> lr_;
  int64_t steps_ = 0;
};

}  // namespace gd::train

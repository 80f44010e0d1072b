#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "optim/grouped_rule.hpp"
#include "optim/wrapped_rule.hpp"
#include "parallel/fork_safe_mutex.hpp"
#include "profiling/sources.hpp"

namespace gd::train {

// An update rule at work on arrays somebody else owns, in place; the states are here.
template <class T>
class ArrayUpdater {
 public:
  // With the groups that there are, if any, and of each array the number of its own; an array in
  // none, number -1, is left alone. Rules that see matrices take them from `shapes`; without, each
  // array is a vector.
  ArrayUpdater(std::string rule, std::vector<double> hyper, std::vector<int64_t> sizes,
               std::vector<optim::Group> groups = {}, const std::vector<int>& group_of = {},
               const std::vector<optim::Wrapper>& wrappers = {},
               const std::vector<std::vector<int64_t>>& shapes = {});

  // One step; both hold the arrays in order, of the sizes given at construction. Where gradients
  // are to be checked and one is not finite, nothing changes and its index is returned.
  std::optional<size_t> step(std::span<T* const> weights,
                             std::span<const std::span<const T>> gradients, bool checks_finite);

  double lr() const { return lr_; }
  void set_lr(double lr);  // ValueError where T cannot hold it
  // As optim::Rule::set_hyper; what T cannot hold is a ValueError, too.
  void set_hyper(int group, int index, double value);
  int64_t steps() const { return steps_; }
  const std::vector<int64_t>& sizes() const { return sizes_; }

 private:
  profiling::SourceNumber source_;  // for recordings
  parallel::ForkSafeMutex mutex_;
  bool is_frozen(size_t i) const { return spans_[i].group < 0; }
  bool is_elementwise() const { return rule_->needs() == optim::RuleNeeds::elementwise; }
  void update_whole(std::span<T* const> weights, std::span<const std::span<const T>> gradients,
                    profiling::Lane* lane);

  std::unique_ptr<optim::Rule<T>> rule_;
  std::vector<int64_t> sizes_;
  std::vector<optim::ParameterSpan> spans_;     // of each array
  std::vector<base::AlignedBuffer<T>> states_;  // rule.states() for the first array, then the next
  std::vector<T*> state_pointers_;              // of the array at hand
  // Of a rule that is not elementwise: the arrays that train, and where they lie in a step.
  std::vector<optim::ParameterSpan> trained_;
  std::vector<optim::SpanPlace<T>> places_;
  std::atomic<double> lr_;
  std::atomic<int64_t> steps_{0};
};

}  // namespace gd::train

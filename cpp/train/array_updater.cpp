#include "train/array_updater.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "parallel/cpus.hpp"
#include "plan/cost_model.hpp"

namespace gd::train {

template <class T>
ArrayUpdater<T>::ArrayUpdater(std::string rule, std::vector<double> hyper,
                              std::vector<int64_t> sizes)
    : rule_(rule, hyper), sizes_(std::move(sizes)), lr_(hyper.front()) {
  for (const int64_t size : sizes_) {
    for (int i = 0; i < rule_.states(); ++i) states_.emplace_back(size);
  }
}

template <class T>
void ArrayUpdater<T>::step(std::span<T* const> weights, std::span<const T* const> gradients) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int64_t largest = *std::max_element(sizes_.begin(), sizes_.end());
  const int workers = plan::workers_for(plan::update_flops(largest, rule_.states()),
                                        parallel::default_thread_count().count);
  // All that may fail comes before the first change.
  ops::TileQueue queue(workers);
  const parallel::TeamLease team = parallel::acquire_team(workers);
  rule_.begin_step(lr_, ++steps_);
  const auto count = static_cast<size_t>(rule_.states());
  for (size_t i = 0; i < sizes_.size(); ++i) {
    T* states[ops::kMaxStates] = {};
    for (size_t s = 0; s < count; ++s) states[s] = states_[i * count + s].data();
    optim::UpdateInput<T> input;
    input.size = sizes_[i];
    input.weights = weights[i];
    input.gradients = gradients[i];
    input.states = states;
    queue.reset();
    ops::run_collective(*team, [&](ops::Worker& worker) { rule_.update(worker, queue, input); });
  }
}

template <class T>
void ArrayUpdater<T>::set_lr(double lr) {
  base::representable<T>(lr, "lr");
  lr_ = lr;
}

template class ArrayUpdater<float>;
template class ArrayUpdater<double>;

}  // namespace gd::train

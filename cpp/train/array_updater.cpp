#include "train/array_updater.hpp"

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
  rule_.begin_step(lr_, ++steps_);
  const int most = parallel::default_thread_count().count;
  for (size_t i = 0; i < sizes_.size(); ++i) {
    T* states[ops::kMaxStates] = {};
    const auto count = static_cast<size_t>(rule_.states());
    for (size_t s = 0; s < count; ++s) states[s] = states_[i * count + s].data();
    optim::UpdateInput<T> input;
    input.size = sizes_[i];
    input.weights = weights[i];
    input.gradients = gradients[i];
    input.states = states;
    const int workers = plan::workers_for(plan::update_flops(input.size, rule_.states()), most);
    ops::TileQueue queue(workers);
    ops::run_collective(*parallel::acquire_team(workers),
                        [&](ops::Worker& worker) { rule_.update(worker, queue, input); });
  }
}

template class ArrayUpdater<float>;
template class ArrayUpdater<double>;

}  // namespace gd::train

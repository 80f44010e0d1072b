#include "train/array_updater.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "ops/elementwise.hpp"
#include "parallel/cpus.hpp"
#include "plan/cost_model.hpp"
#include "profiling/recorder.hpp"

namespace gd::train {

namespace {

// The last two dimensions are a matrix, those before them count matrices; less than two are a
// vector.
void see_as(const std::vector<int64_t>& shape, optim::ParameterSpan& span) {
  if (shape.size() < 2) return;
  span.kind = optim::SpanKind::weight;
  span.cols = shape.back();
  span.rows = shape[shape.size() - 2];
  for (size_t i = 0; i + 2 < shape.size(); ++i) span.count *= shape[i];
}

// A team for as long as a step on large arrays takes.
class Crowd {
 public:
  explicit Crowd(int workers) : queue_(workers), team_(parallel::acquire_team(workers)) {}

  template <class Body>
  void run(Body&& body) {
    queue_.reset();
    ops::run_collective(*team_, [&](ops::Worker& worker) { body(worker, queue_); });
  }

  template <class T>
  bool all_finite(std::span<const T> x) {
    std::atomic<bool> finite = true;
    run([&](ops::Worker& worker, ops::TileQueue& queue) {
      ops::all_finite(worker, queue, x, finite);
    });
    return finite;
  }

 private:
  ops::TileQueue queue_;
  parallel::TeamLease team_;
};

}  // namespace

template <class T>
ArrayUpdater<T>::ArrayUpdater(std::string rule, std::vector<double> hyper,
                              std::vector<int64_t> sizes, std::vector<optim::Group> groups,
                              const std::vector<int>& group_of,
                              const std::vector<optim::Wrapper>& wrappers,
                              const std::vector<std::vector<int64_t>>& shapes)
    : source_({.kind = "rule",
               .optimizer = rule,
               .dtype = sizeof(T) == sizeof(float) ? "float32" : "float64"}),
      rule_(optim::wrapped(optim::make_rule<T>(rule, hyper, std::move(groups)), wrappers)),
      sizes_(std::move(sizes)),
      lr_(hyper.front()) {
  state_pointers_.resize(static_cast<size_t>(rule_->states()));
  for (size_t i = 0; i < sizes_.size(); ++i) {
    spans_.push_back({0, 1, sizes_[i], optim::SpanKind::other, group_of.empty() ? 0 : group_of[i]});
    if (!shapes.empty()) see_as(shapes[i], spans_.back());
    if (!is_elementwise() && !is_frozen(i)) trained_.push_back(spans_.back());
    for (int s = 0; s < rule_->states(); ++s) states_.emplace_back(is_frozen(i) ? 0 : sizes_[i]);
  }
  places_.resize(trained_.size());
  if (!is_elementwise()) rule_->prepare(trained_, 1);
}

template <class T>
std::optional<size_t> ArrayUpdater<T>::step(std::span<T* const> weights,
                                            std::span<const std::span<const T>> gradients,
                                            bool checks_finite) {
  const profiling::Region region(profiling::RegionKind::step, profiling::Zone::kCaller,
                                 {source_.id()});
  const std::lock_guard<parallel::ForkSafeMutex> lock(mutex_);
  // All that may fail comes before the first change.
  std::optional<Crowd> crowd;
  const int64_t largest = *std::max_element(sizes_.begin(), sizes_.end());
  if (plan::update_workers(largest, rule_->states(), parallel::kMaxThreads) > 1) {
    const int most = parallel::default_thread_count().count;
    crowd.emplace(plan::update_workers(largest, rule_->states(), most));
  }
  if (checks_finite) {
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (is_frozen(i)) continue;
      if (!(crowd ? crowd->all_finite(gradients[i]) : ops::all_finite(gradients[i]))) return i;
    }
  }
  const int64_t step = steps_.load(std::memory_order_relaxed) + 1;
  rule_->begin_step(lr_, step);
  steps_.store(step, std::memory_order_relaxed);
  if (!is_elementwise()) {
    update_whole(weights, gradients, region.lane());
    return std::nullopt;
  }
  const auto count = static_cast<size_t>(rule_->states());
  for (size_t i = 0; i < sizes_.size(); ++i) {
    if (is_frozen(i)) continue;
    for (size_t s = 0; s < count; ++s) state_pointers_[s] = states_[i * count + s].data();
    optim::UpdateInput<T> input;
    const parallel::Range all{0, sizes_[i]};
    input.spans = {&spans_[i], 1};
    input.extents = {&all, 1};
    input.weights = weights[i];
    input.gradients = gradients[i].data();
    input.states = state_pointers_.data();
    const int states_each = rule_->states();
    const profiling::Amount cost{plan::update_flops(sizes_[i], states_each),
                                 plan::update_bytes(sizes_[i], states_each, sizeof(T))};
    const auto recorded = [&](profiling::Lane* lane, auto&& update) {
      if (lane != nullptr) lane->begin(profiling::zone_id(profiling::Zone::kUpdate));
      update();
      if (lane != nullptr) lane->end(cost);
    };
    if (crowd) {
      crowd->run([&](ops::Worker& worker, ops::TileQueue& queue) {
        recorded(worker.lane(), [&] { rule_->update(worker, queue, input); });
      });
    } else {
      const ops::KernelScope scope;
      recorded(region.lane(), [&] { rule_->update_piece(input, 0, gradients[i]); });
    }
  }
  return std::nullopt;
}

// All arrays at once: a rule may look at all of them before it changes one.
template <class T>
void ArrayUpdater<T>::update_whole(std::span<T* const> weights,
                                   std::span<const std::span<const T>> gradients,
                                   profiling::Lane* lane) {
  const auto count = static_cast<size_t>(rule_->states());
  int64_t size = 0;
  size_t span = 0;
  for (size_t i = 0; i < sizes_.size(); ++i) {
    if (is_frozen(i)) continue;
    optim::SpanPlace<T>& place = places_[span++];
    place.weights = weights[i];
    place.gradients = gradients[i].data();
    for (size_t s = 0; s < count; ++s) place.states[s] = states_[i * count + s].data();
    size += sizes_[i];
  }
  optim::UpdateInput<T> input;
  input.spans = trained_;
  input.places = places_.data();
  const int most = parallel::default_thread_count().count;
  const int64_t products = rule_->products(trained_);
  const int workers = std::max(plan::update_workers(size, rule_->states(), most),
                               plan::workers_for(products, most));
  const profiling::Amount cost{plan::update_flops(size, rule_->states()) + products,
                               plan::update_bytes(size, rule_->states(), sizeof(T))};
  const auto update = [&](ops::Worker& worker, ops::TileQueue& queue, profiling::Lane* to) {
    if (to != nullptr) to->begin(profiling::zone_id(profiling::Zone::kUpdate));
    rule_->update(worker, queue, input);
    if (to != nullptr) to->end(cost);
  };
  if (workers > 1) {
    rule_->prepare(trained_, workers);
    Crowd(workers).run(
        [&](ops::Worker& worker, ops::TileQueue& queue) { update(worker, queue, worker.lane()); });
    return;
  }
  const ops::KernelScope scope;
  ops::Worker alone(lane);
  ops::TileQueue queue(1);
  update(alone, queue, lane);
}

template <class T>
void ArrayUpdater<T>::set_lr(double lr) {
  base::representable<T>(lr, "lr");
  lr_ = lr;
}

template <class T>
void ArrayUpdater<T>::set_hyper(int group, int index, double value) {
  base::representable<T>(value, index == 0 ? "lr" : "a hyperparameter that follows a schedule");
  const std::lock_guard<parallel::ForkSafeMutex> lock(mutex_);
  rule_->set_hyper(group, index, value);
}

template class ArrayUpdater<float>;
template class ArrayUpdater<double>;

}  // namespace gd::train

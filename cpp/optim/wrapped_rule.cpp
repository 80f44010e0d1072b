#include "optim/wrapped_rule.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "ops/elementwise.hpp"
#include "optim/penalty_rule.hpp"

namespace gd::optim {

namespace {

using base::require;
using base::ValueError;
using parallel::Range;

// Elements that a worker takes at a time, as in ops/elementwise.cpp.
constexpr int64_t kWrappedGrain = 4096;
constexpr int kMostWorkers = 1024;  // as parallel/ has it

}  // namespace

template <class T>
WrappedRule<T>::WrappedRule(std::unique_ptr<Rule<T>> inner) : inner_(std::move(inner)) {
  if (inner_->needs() != RuleNeeds::elementwise) reset_queues();
  require<ValueError>(inner_->states() < kMostStates, "an optimizer must not have more than ",
                      kMostStates, " arrays beside each parameter with all that is around it");
}

template <class T>
void WrappedRule<T>::reset_queues() {
  if (queues_.empty()) {
    for (int i = 0; i < 2; ++i) queues_.emplace_back(kMostWorkers);
  }
  for (ops::TileQueue& queue : queues_) queue.reset();
}

template <class T>
void WrappedRule<T>::begin_step(double lr, int64_t step) {
  inner_->begin_step(lr, step);
  for (ops::TileQueue& queue : queues_) queue.reset();
  begin(step);
}

template <class T>
void WrappedRule<T>::for_runs(ops::Worker& worker, ops::TileQueue& queue,
                              const UpdateInput<T>& input, Pass pass) {
  if (input.places != nullptr) {  // arrays in no common buffer: one at a time
    queue.for_each(worker, static_cast<int64_t>(input.spans.size()), [&](int64_t span) {
      SpanPlace<T> place = input.places[span];
      UpdateInput<T> one;
      one.weights = place.weights;
      one.gradients = place.gradients;
      one.states = place.states;
      pass(one, Range{0, input.spans[static_cast<size_t>(span)].size()});
    });
    return;
  }
  const int64_t pieces = (ops::extents_end(input.extents) + kWrappedGrain - 1) / kWrappedGrain;
  queue.for_each(worker, pieces, [&](int64_t piece) {
    ops::for_extents(input.extents, {piece * kWrappedGrain, (piece + 1) * kWrappedGrain},
                     [&](Range run) { pass(input, run); });
  });
}

template <class T>
void WrappedRule<T>::update(ops::Worker& worker, ops::TileQueue& queue,
                            const UpdateInput<T>& input) {
  if (inner_->needs() == RuleNeeds::elementwise) {
    for_runs(worker, queue, input, [&](const UpdateInput<T>& at, Range run) {
      update_piece(at, run.begin, {at.gradients + run.begin, static_cast<size_t>(run.size())});
    });
    return;
  }
  for_runs(worker, queues_[0], input,
           [&](const UpdateInput<T>& at, Range run) { before(at, run); });
  worker.barrier();
  inner_->update(worker, queue, input);
  worker.barrier();
  for_runs(worker, queues_[1], input, [&](const UpdateInput<T>& at, Range run) { after(at, run); });
}

template <class T>
void WrappedRule<T>::update_piece(const UpdateInput<T>& input, int64_t begin,
                                  std::span<const T> gradients) {
  const Range run{begin, begin + static_cast<int64_t>(gradients.size())};
  before(input, run);
  inner_->update_piece(input, begin, gradients);
  after(input, run);
}

// ---- lookahead ----

template <class T>
LookaheadRule<T>::LookaheadRule(std::unique_ptr<Rule<T>> inner, const std::vector<double>& numbers)
    : WrappedRule<T>(std::move(inner)),
      k_(static_cast<int64_t>(numbers.at(0))),
      alpha_(static_cast<T>(numbers.at(1))) {
  require<ValueError>(k_ >= 1, "k must be at least 1, got ", k_);
}

template <class T>
void LookaheadRule<T>::begin(int64_t step) {
  is_first_ = step == 1;
  meets_ = step % k_ == 0;
}

template <class T>
void LookaheadRule<T>::before(const UpdateInput<T>& input, Range run) {
  if (!is_first_) return;
  std::copy_n(input.weights + run.begin, run.size(), this->own_state(input) + run.begin);
}

template <class T>
void LookaheadRule<T>::after(const UpdateInput<T>& input, Range run) {
  if (!meets_) return;
  T* const slow = this->own_state(input);
  for (int64_t i = run.begin; i < run.end; ++i) {
    slow[i] += alpha_ * (input.weights[i] - slow[i]);
    input.weights[i] = slow[i];
  }
}

// ---- averages ----

template <class T>
AveragingRule<T>::AveragingRule(std::unique_ptr<Rule<T>> inner, std::optional<double> decay,
                                const std::vector<double>& numbers)
    : WrappedRule<T>(std::move(inner)),
      decay_(decay),
      warms_up_(numbers.at(0) != 0),
      start_(static_cast<int64_t>(numbers.at(1))),
      every_(static_cast<int64_t>(numbers.at(2))),
      counts_epochs_(numbers.at(3) != 0) {
  require<ValueError>(start_ >= 1 && every_ >= 1, "start and every must be at least 1, got ",
                      start_, " and ", every_);
}

template <class T>
void AveragingRule<T>::set_time(int64_t time) {
  taken_ = -1;
  if (time < start_ || (time - start_) % every_ != 0) return;
  taken_ = (time - start_) / every_;
  const auto count = static_cast<double>(taken_);
  if (!decay_) {
    share_ = static_cast<T>(1 / (count + 1));
  } else {
    const double decay = warms_up_ ? std::min(*decay_, (1 + count) / (10 + count)) : *decay_;
    share_ = static_cast<T>(1 - decay);
  }
}

template <class T>
void AveragingRule<T>::begin(int64_t step) {
  counts_epochs_ ? void(taken_ = -1) : set_time(step);
}

template <class T>
void AveragingRule<T>::after(const UpdateInput<T>& input, Range run) {
  if (taken_ < 0) return;
  T* const mean = this->own_state(input);
  if (taken_ == 0) {
    std::copy_n(input.weights + run.begin, run.size(), mean + run.begin);
    return;
  }
  for (int64_t i = run.begin; i < run.end; ++i) mean[i] += share_ * (input.weights[i] - mean[i]);
}

template <class T>
void AveragingRule<T>::end_epoch(const UpdateInput<T>& input, int64_t epochs) {
  if (!counts_epochs_) return;
  set_time(epochs);
  for (const Range& run : input.extents) after(input, run);
  taken_ = -1;
}

// ---- sharpness-aware minimization ----

template <class T>
SamRule<T>::SamRule(std::unique_ptr<Rule<T>> inner, const std::vector<double>& numbers)
    : WrappedRule<T>(std::move(inner)), rho_(numbers.at(0)), adaptive_(numbers.at(1) != 0) {
  base::representable<T>(rho_, "rho");
  this->reset_queues();
}

template <class T>
RuleNeeds SamRule<T>::needs() const {
  const RuleNeeds within = WrappedRule<T>::needs();
  return within == RuleNeeds::elementwise ? RuleNeeds::norm : within;
}

template <class T>
void SamRule<T>::make_room(int64_t flat_size) {
  was_ = base::AlignedBuffer<T>(flat_size);
  sums_.resize(static_cast<size_t>((flat_size + kWrappedGrain - 1) / kWrappedGrain));
}

template <class T>
void SamRule<T>::set_ascending(bool ascends) {
  ascends_ = ascends;
  this->reset_queues();
}

template <class T>
void SamRule<T>::update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) {
  if (ascends_) return ascend(worker, input);
  this->for_runs(worker, this->queue(0), input, [&](const UpdateInput<T>&, Range run) {
    std::copy_n(was_.data() + run.begin, run.size(), input.weights + run.begin);
  });
  worker.barrier();
  this->inner().update(worker, queue, input);
}

template <class T>
void SamRule<T>::ascend(ops::Worker& worker, const UpdateInput<T>& input) {
  const auto pieces = (ops::extents_end(input.extents) + kWrappedGrain - 1) / kWrappedGrain;
  this->queue(0).for_each(worker, pieces, [&](int64_t piece) {
    double sum = 0;
    ops::for_extents(input.extents, {piece * kWrappedGrain, (piece + 1) * kWrappedGrain},
                     [&](Range run) {
                       const auto size = static_cast<size_t>(run.size());
                       const T* g = input.gradients + run.begin;
                       alignas(base::kAlignment) T scaled[kWrappedGrain];
                       if (adaptive_) {
                         const T* const w = input.weights + run.begin;
                         for (size_t i = 0; i < size; ++i) scaled[i] = w[i] * g[i];
                         g = scaled;
                       }
                       sum += static_cast<double>(ops::sum_squares(std::span<const T>(g, size)));
                     });
    sums_[static_cast<size_t>(piece)] = sum;
  });
  worker.barrier();
  double squares = 0;  // every worker adds up the same numbers in the same order
  for (int64_t piece = 0; piece < pieces; ++piece) squares += sums_[static_cast<size_t>(piece)];
  const T scale = static_cast<T>(rho_ / (std::sqrt(squares) + 1e-12));
  this->for_runs(worker, this->queue(1), input, [&](const UpdateInput<T>&, Range run) {
    for (int64_t i = run.begin; i < run.end; ++i) {
      const T w = input.weights[i];
      const T g = input.gradients[i];
      was_.data()[i] = w;
      input.weights[i] = w + (adaptive_ ? w * w * g : g) * scale;
    }
  });
}

// ---- by name ----

namespace {

template <class T>
std::unique_ptr<Rule<T>> around(std::unique_ptr<Rule<T>> rule, const Wrapper& wrapper) {
  const auto& [name, numbers] = wrapper;
  const auto check = [&](size_t count) {
    require<ValueError>(numbers.size() == count, name, " takes ", count, " numbers, got ",
                        numbers.size());
  };
  if (name == "lookahead") {
    check(2);
    return std::make_unique<LookaheadRule<T>>(std::move(rule), numbers);
  }
  if (name == "penalized") return std::make_unique<PenaltyRule<T>>(std::move(rule), numbers);
  if (name == "sam") {
    check(2);
    return std::make_unique<SamRule<T>>(std::move(rule), numbers);
  }
  if (name == "ema") {
    check(5);
    const std::vector<double> rest(numbers.begin() + 1, numbers.end());
    return std::make_unique<AveragingRule<T>>(std::move(rule), numbers.front(), rest);
  }
  require<ValueError>(name == "swa", "nothing called '", name, "' goes around an update rule");
  check(4);
  return std::make_unique<AveragingRule<T>>(std::move(rule), std::nullopt, numbers);
}

}  // namespace

template <class T>
std::unique_ptr<Rule<T>> wrapped(std::unique_ptr<Rule<T>> rule,
                                 const std::vector<Wrapper>& wrappers) {
  const auto place = [](const Wrapper& each) {
    return each.name == "penalized" ? 0 : each.name == "sam" ? 2 : 1;
  };
  for (const int at : {0, 1, 2}) {
    for (const Wrapper& each : wrappers) {
      if (place(each) == at) rule = around(std::move(rule), each);
    }
  }
  return rule;
}

template std::unique_ptr<Rule<float>> wrapped(std::unique_ptr<Rule<float>>,
                                              const std::vector<Wrapper>&);
template std::unique_ptr<Rule<double>> wrapped(std::unique_ptr<Rule<double>>,
                                               const std::vector<Wrapper>&);
template class WrappedRule<float>;
template class WrappedRule<double>;
template class LookaheadRule<float>;
template class LookaheadRule<double>;
template class AveragingRule<float>;
template class AveragingRule<double>;
template class SamRule<float>;
template class SamRule<double>;

}  // namespace gd::optim

#pragma once

// What goes around an update rule: slow weights, averages of the weights, a gradient that is taken
// somewhere else. Each has the rule within it do the step, and its states before its own.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/function_ref.hpp"
#include "optim/rule.hpp"

namespace gd::optim {

// By name, with its numbers in order.
struct Wrapper {
  std::string name;
  std::vector<double> numbers;
};

// A rule around another. Where that is elementwise, so is this: piece by piece, while it is in
// cache.
template <class T>
class WrappedRule : public Rule<T> {
 public:
  explicit WrappedRule(std::unique_ptr<Rule<T>> inner);

  Rule<T>& inner() { return *inner_; }
  RuleNeeds needs() const override { return inner_->needs(); }
  int states() const override { return inner_->states() + own_states(); }
  RuleMemory memory(std::span<const ParameterSpan> spans, int workers) const override {
    return inner_->memory(spans, workers);
  }
  void prepare(std::span<const ParameterSpan> spans, int workers) override {
    inner_->prepare(spans, workers);
  }
  std::span<T> statistics() override { return inner_->statistics(); }
  int64_t products(std::span<const ParameterSpan> spans) const override {
    return inner_->products(spans);
  }
  void begin_step(double lr, int64_t step) override;
  void set_hyper(int group, int index, double value) override {
    inner_->set_hyper(group, index, value);
  }
  void update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) override;
  void update_piece(const UpdateInput<T>& input, int64_t begin,
                    std::span<const T> gradients) override;
  std::vector<double> kept() const override { return inner_->kept(); }
  void set_kept(std::span<const double> kept) override { inner_->set_kept(kept); }
  bool averages() const override { return inner_->averages(); }
  void evaluation(const UpdateInput<T>& input, int64_t begin, std::span<T> to) const override {
    inner_->evaluation(input, begin, to);
  }

 protected:
  virtual int own_states() const { return 1; }
  virtual void begin(int64_t step) = 0;
  // A run of the flat buffers, before and after the rule within has updated it.
  virtual void before(const UpdateInput<T>&, parallel::Range) {}
  virtual void after(const UpdateInput<T>& input, parallel::Range run) = 0;
  T* own_state(const UpdateInput<T>& input) const { return input.states[inner_->states()]; }
  // Calls pass(input, run) for all runs, over all workers.
  using Pass = base::FunctionRef<void(const UpdateInput<T>& input, parallel::Range run)>;
  static void for_runs(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input,
                       Pass pass);
  // Of the passes of one step, where the rule within is not elementwise.
  ops::TileQueue& queue(size_t index) { return queues_[index]; }
  void reset_queues();

 private:
  std::unique_ptr<Rule<T>> inner_;
  std::vector<ops::TileQueue> queues_;
};

// Every k steps the slow weights go a part of the way to the fast ones, which go on from there:
// s <- s + alpha (w - s), w <- s.
template <class T>
class LookaheadRule final : public WrappedRule<T> {
 public:
  LookaheadRule(std::unique_ptr<Rule<T>> inner, const std::vector<double>& numbers);  // k, alpha

 protected:
  void begin(int64_t step) override;
  void before(const UpdateInput<T>& input, parallel::Range run) override;
  void after(const UpdateInput<T>& input, parallel::Range run) override;

 private:
  int64_t k_;
  T alpha_;
  bool is_first_ = false;
  bool meets_ = false;
};

// An average of the weights beside them, which no step reads: m <- m + (w - m) c, with the c of an
// exponential average or of the plain mean. Time is a number of steps or of epochs that are done;
// it takes the weights in at `start`, and then every so many.
template <class T>
class AveragingRule final : public WrappedRule<T> {
 public:
  // decay, warms up, start, every, counts epochs; without a decay it is the plain mean.
  AveragingRule(std::unique_ptr<Rule<T>> inner, std::optional<double> decay,
                const std::vector<double>& numbers);

  // After an epoch, by one thread.
  void end_epoch(const UpdateInput<T>& input, int64_t epochs);
  bool has_begun(int64_t steps, int64_t epochs) const {
    return (counts_epochs_ ? epochs : steps) >= start_;
  }
  const T* average(T* const* states) const { return states[this->states() - 1]; }

 protected:
  void begin(int64_t step) override;
  void after(const UpdateInput<T>& input, parallel::Range run) override;

 private:
  void set_time(int64_t time);

  std::optional<double> decay_;
  bool warms_up_;
  int64_t start_;
  int64_t every_;
  bool counts_epochs_;
  int64_t taken_ = -1;  // how many were taken in before; below 0: none is now
  T share_ = 0;         // of the next one
};

// Sharpness-aware minimization: a first gradient leads uphill, by rho, and the one that is found
// there makes the step from where the weights were. Two gradients a step: who makes it calls
// update() twice, at first as the ascent.
template <class T>
class SamRule final : public WrappedRule<T> {
 public:
  // rho, adaptive
  SamRule(std::unique_ptr<Rule<T>> inner, const std::vector<double>& numbers);

  RuleNeeds needs() const override;
  void make_room(int64_t flat_size);
  int64_t bytes() const { return was_.bytes(); }
  // Before update(), by one thread.
  void set_ascending(bool ascends);
  const bool& ascending() const { return ascends_; }
  void update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) override;

 protected:
  int own_states() const override { return 0; }
  void begin(int64_t) override {}
  void after(const UpdateInput<T>&, parallel::Range) override {}

 private:
  void ascend(ops::Worker& worker, const UpdateInput<T>& input);

  double rho_;
  bool adaptive_;
  bool ascends_ = false;
  base::AlignedBuffer<T> was_;  // weights before the ascent
  std::vector<double> sums_;    // of the squares of each piece of the gradient
};

// The rule with what goes around it, the first one next to it. But a penalty, which changes
// gradients, comes within all others, and sam outside of all: what it does to a gradient is over
// when the others see it. ValueError for an unknown name or a wrong
// number of numbers.
template <class T>
std::unique_ptr<Rule<T>> wrapped(std::unique_ptr<Rule<T>> rule,
                                 const std::vector<Wrapper>& wrappers);

// The outermost one of that kind, or null.
template <class Kind, class T>
Kind* find_wrapper(Rule<T>& rule) {
  for (auto* at = dynamic_cast<WrappedRule<T>*>(&rule); at != nullptr;
       at = dynamic_cast<WrappedRule<T>*>(&at->inner())) {
    if (auto* const found = dynamic_cast<Kind*>(at)) return found;
  }
  return nullptr;
}

}  // namespace gd::optim

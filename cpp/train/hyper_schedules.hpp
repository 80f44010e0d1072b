#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/function_ref.hpp"
#include "optim/rule.hpp"
#include "optim/schedule.hpp"

namespace gd::train {

// A hyperparameter that follows a schedule.
struct HyperSchedule {
  // Whose it is, and what the schedule's value is multiplied by there.
  struct Target {
    int group;
    double factor;
  };
  std::string name;  // in errors
  int index = 0;     // among the rule's parameters; 0 is the rate, then of groups
  double base = 0;   // what the schedule starts from; of a rate it is the trainer's
  std::unique_ptr<optim::Schedule> schedule;
  optim::ScheduleUnit unit = optim::ScheduleUnit::epoch;
  std::vector<Target> targets;
};

// Begins the steps of a rule whose hyperparameters follow schedules.
template <class T>
class HyperSchedules final : public optim::StepBeginning {
 public:
  // What a schedule makes of the trainer's rate at a time.
  using Rate = base::FunctionRef<double(const optim::Schedule&, int64_t)>;

  // StateError where the rule has none that could change.
  HyperSchedules(optim::Rule<T>& rule, std::vector<HyperSchedule> all);

  // What the next step takes. A schedule may be a caller's function, which may use the network: the
  // caller must not hold the model's mutex. ValueError where a value is none.
  void ask(int64_t steps, int64_t epochs, Rate rate);
  // Of one of all(), without a step.
  double value(const HyperSchedule& each, int64_t steps, int64_t epochs, Rate rate) const;
  const std::vector<HyperSchedule>& all() const { return all_; }

  void begin_step(double lr, int64_t step) override;

 private:
  optim::Rule<T>& rule_;
  std::vector<HyperSchedule> all_;
  std::vector<std::atomic<double>> next_;  // atomic: steps may come from several threads
};

}  // namespace gd::train

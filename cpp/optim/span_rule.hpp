#pragma once

// What rules that see more than one element have in common.

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "optim/group.hpp"
#include "optim/rule.hpp"

namespace gd::optim {

// What a step goes by, for the parameters of one group: hyperparameters in the order of the rule's
// names, the rate, the step's number from 1, and by what gradients are multiplied, 1 or -1.
struct StepSetting {
  std::vector<double> hyper;
  double lr = 0;
  int64_t step = 0;
  double sign = 1;

  double operator[](int index) const { return hyper[static_cast<size_t>(index)]; }
};

// Two passes over one queue: all have left the first, and one resets it.
inline void next_pass(ops::Worker& worker, ops::TileQueue& queue) {
  if (worker.count() == 1) return;  // alone, maybe beside others that use the queue
  worker.barrier();
  if (worker.index() == 0) queue.reset();
  worker.barrier();
}

// Has the hyperparameters of each group, of which there is at least one.
template <class T>
class SpanRule : public Rule<T> {
 public:
  // After its parameters a group may have `maximize`.
  SpanRule(const std::string& name, const char* parameters, std::vector<Group> groups)
      : groups_(std::move(groups)), own_rates_(groups_.size(), -1.0) {
    const auto names = ops::split_names(parameters);
    for (const Group& group : groups_) {
      StepSetting setting{group.hyper, 0, 0, 1};
      if (setting.hyper.size() == names.size() + 1) {
        setting.sign = setting.hyper.back() != 0 ? -1 : 1;
        setting.hyper.pop_back();
      }
      base::require<base::ValueError>(setting.hyper.size() == names.size(), "update rule '", name,
                                      "' takes ", names.size(), " hyperparameters, got ",
                                      setting.hyper.size());
      for (size_t i = 0; i < names.size(); ++i) {
        base::representable<T>(setting.hyper[i], names[i]);
      }
      settings_.push_back(std::move(setting));
    }
  }

  void begin_step(double lr, int64_t step) override {
    for (size_t i = 0; i < groups_.size(); ++i) check_rate<T>(groups_[i], of_step(i, lr));
    for (size_t i = 0; i < groups_.size(); ++i) {
      settings_[i].lr = rate_of(groups_[i], of_step(i, lr));
      settings_[i].step = step;
    }
  }
  void set_hyper(int group, int index, double value) override {
    const auto i = static_cast<size_t>(group);
    if (index == 0) {
      own_rates_.at(i) = value;
    } else {
      settings_.at(i).hyper.at(static_cast<size_t>(index)) = value;
    }
  }

 protected:
  const std::vector<StepSetting>& settings() const { return settings_; }
  const StepSetting& setting(const ParameterSpan& span) const {
    return settings_[static_cast<size_t>(span.group)];
  }
  // The most that any group needs.
  template <class States>
  int most_states(States&& states) const {
    int most = 0;
    for (const StepSetting& setting : settings_) most = std::max(most, states(setting));
    return most;
  }

 private:
  double of_step(size_t group, double lr) const {
    return own_rates_[group] < 0 ? lr : own_rates_[group];
  }

  std::vector<Group> groups_;
  std::vector<double> own_rates_;  // of groups that follow a schedule of their own; else -1
  std::vector<StepSetting> settings_;
};

}  // namespace gd::optim

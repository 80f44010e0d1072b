#pragma once

#include <memory>
#include <string>
#include <vector>

#include "optim/group.hpp"
#include "optim/rule.hpp"

namespace gd::optim {

// An elementwise rule with hyperparameters by group, which `UpdateInput::spans` tell: a number of
// `groups`. What lies in no span is left alone, so that a span left out is frozen.
template <class T>
class GroupedRule final : public Rule<T> {
 public:
  GroupedRule(const std::string& name, std::vector<Group> groups);

  RuleNeeds needs() const override { return RuleNeeds::elementwise; }
  int states() const override { return states_; }  // the most that a group has
  // ValueError, before anything changes, where the rate of a group is none.
  void begin_step(double lr, int64_t step) override;
  void set_hyper(int group, int index, double value) override;
  void update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) override;
  void update_piece(const UpdateInput<T>& input, int64_t begin,
                    std::span<const T> gradients) override;
  std::vector<double> kept() const override;  // of the first group, then the next
  void set_kept(std::span<const double> kept) override;
  bool averages() const override;
  void evaluation(const UpdateInput<T>& input, int64_t begin, std::span<T> to) const override;

 private:
  // The rate of a step, of all groups but those that follow a schedule of their own.
  double of_step(size_t group, double lr) const {
    return own_rates_[group] < 0 ? lr : own_rates_[group];
  }

  std::vector<Group> groups_;
  std::vector<std::unique_ptr<Rule<T>>> rules_;  // of each group
  std::vector<double> own_rates_;  // of groups that follow a schedule of their own; else -1
  int states_ = 0;
};

// The rule of that name with hyperparameters `hyper`, after which `maximize` may stand: where that
// is not 0 it is given -g. With groups, their own are for them.
template <class T>
std::unique_ptr<Rule<T>> make_rule(const std::string& name, const std::vector<double>& hyper,
                                   std::vector<Group> groups);

}  // namespace gd::optim

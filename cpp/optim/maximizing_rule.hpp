#pragma once

#include <memory>

#include "optim/rule.hpp"

namespace gd::optim {

// Another rule, elementwise, that goes up where that goes down: it is given -g. ValueError for a
// rule that is not elementwise.
template <class T>
class MaximizingRule final : public Rule<T> {
 public:
  explicit MaximizingRule(std::unique_ptr<Rule<T>> rule);

  RuleNeeds needs() const override { return RuleNeeds::elementwise; }
  int states() const override { return rule_->states(); }
  void begin_step(double lr, int64_t step) override { rule_->begin_step(lr, step); }
  void update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) override;
  void update_piece(const UpdateInput<T>& input, int64_t begin,
                    std::span<const T> gradients) override;
  std::vector<double> kept() const override { return rule_->kept(); }
  void set_kept(std::span<const double> kept) override { rule_->set_kept(kept); }
  bool averages() const override { return rule_->averages(); }
  void evaluation(const UpdateInput<T>& input, int64_t begin, std::span<T> to) const override {
    rule_->evaluation(input, begin, to);
  }

 private:
  std::unique_ptr<Rule<T>> rule_;
};

}  // namespace gd::optim

#pragma once

#include "optim/rule.hpp"
#include "plan/operation.hpp"

namespace gd::plan {

// The rule's pass over all parameters. rule.begin_step must have been called.
template <class T>
class Update final : public Operation<T> {
 public:
  Update(optim::Rule<T>& rule, const optim::UpdateInput<T>& input, int max_workers);
  bool meets(const Batch<T>& /*batch*/, int /*workers*/) const override {
    return rule_.needs() != optim::RuleNeeds::elementwise;
  }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  optim::Rule<T>& rule_;
  optim::UpdateInput<T> input_;
};

}  // namespace gd::plan

#pragma once

#include "ops/seen_rows.hpp"
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

// The same of what is sparse: the rows that the gradient has seen, and no others.
template <class T>
class UpdateSeen final : public Operation<T> {
 public:
  UpdateSeen(optim::Rule<T>& rule, const optim::UpdateInput<T>& input,
             const ops::SparseTables& tables, int max_workers);

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  optim::Rule<T>& rule_;
  optim::UpdateInput<T> input_;
  const ops::SparseTables& tables_;
};

}  // namespace gd::plan

#pragma once

#include "ops/formulas.hpp"
#include "plan/step.hpp"

namespace gd::plan {

// Of any loss of so many outputs.
template <class T>
Cost loss_cost(int64_t outputs) {
  Cost cost;
  cost.flops_a_row = 3 * outputs;  // difference, loss, gradient
  cost.bytes_a_row = 3 * outputs * static_cast<int64_t>(sizeof(T));
  return cost;
}

// Each sample's loss and, for training, the gradient at the network's output.
template <class T>
class Loss final : public Operation<T> {
 public:
  // sample_loss is (rows,); a gradient without columns: the loss only.
  Loss(const ops::LossKernel<T>& kernel, const std::vector<double>& parameters,
       const Rows<T>& prediction, T* sample_loss, const Rows<T>& gradient, int max_workers);

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  const ops::LossKernel<T>& kernel_;
  ops::LossTerms<T> parameters_;
  Rows<T> prediction_;
  T* sample_loss_;
  Rows<T> gradient_;
};

// The same of an ensemble: a row holds the outputs of so many members, without a gap to the next. A
// sample's loss is the mean of its members' against the same target.
template <class T>
class MembersLoss final : public Operation<T> {
 public:
  MembersLoss(const ops::LossKernel<T>& kernel, const std::vector<double>& parameters,
              const Rows<T>& prediction, int64_t members, T* sample_loss, const Rows<T>& gradient,
              int max_workers);

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  const ops::LossKernel<T>& kernel_;
  int64_t members_;
  int64_t outputs_;  // of a member
  ops::LossTerms<T> parameters_;
  Rows<T> prediction_;
  T* sample_loss_;
  Rows<T> gradient_;
};

}  // namespace gd::plan

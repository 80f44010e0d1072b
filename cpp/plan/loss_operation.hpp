#pragma once

#include "ops/formulas.hpp"
#include "plan/operation.hpp"

namespace gd::plan {

// Each sample's loss and, for training, the gradient at the network's output.
template <class T>
class Loss final : public Operation<T> {
 public:
  // prediction and gradient are (rows, outputs) with that stride, sample_loss (rows,); gradient
  // null: loss only. The gradient of a part of a batch begins gradient_row elements a row into it.
  Loss(const ops::LossKernel<T>& kernel, const std::vector<double>& parameters, int64_t outputs,
       int64_t stride, const T* prediction, T* sample_loss, T* gradient, int64_t gradient_row,
       int max_workers);

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  const ops::LossKernel<T>& kernel_;
  ops::LossTerms<T> parameters_;
  int64_t outputs_;
  int64_t stride_;
  const T* prediction_;
  T* sample_loss_;
  T* gradient_;
  int64_t gradient_row_;
};

}  // namespace gd::plan

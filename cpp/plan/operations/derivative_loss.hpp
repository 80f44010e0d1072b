#pragma once

// The loss of outputs and of their derivatives by the inputs.

#include "plan/operations/loss.hpp"

namespace gd::plan {

// What it finds of each sample, one after the other: the sum of both, the loss of the outputs, and
// the mean squared error of the derivatives before it is weighted.
inline constexpr int64_t kDerivativeFigures = 3;

// l = loss(y, t) + 1 / (outputs D) sum over outputs j and inputs d of weight_d (dy_j/dx_d -
// t'_jd)^2, where a t' that is NaN adds nothing. The batch's targets hold t, then t' (outputs, D).
template <class T>
class DerivativeLoss final : public Operation<T> {
 public:
  // sample_loss is (kDerivativeFigures, capacity); a gradient without columns: the loss only.
  DerivativeLoss(const ops::LossKernel<T>& kernel, const std::vector<double>& parameters,
                 const std::vector<double>& weights, const Rows<T>& prediction, T* sample_loss,
                 int64_t capacity, const Rows<T>& gradient, int max_workers);

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;
  void compare(const Batch<T>& batch, int64_t sample, T* losses) const;

  const ops::LossKernel<T>& kernel_;
  std::vector<double> weights_;  // by the inputs
  int64_t outputs_;
  ops::LossTerms<T> parameters_;
  Rows<T> prediction_;
  T* sample_loss_;
  int64_t capacity_;
  Rows<T> gradient_;
};

}  // namespace gd::plan

#pragma once

#include "ops/formulas.hpp"
#include "plan/step.hpp"

namespace gd::plan {

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

}  // namespace gd::plan

#pragma once

#include <vector>

#include "ops/formulas.hpp"
#include "plan/step.hpp"

namespace gd::plan {

// One of several losses, over columns [column, column + terms of so many outputs) of the network's
// output.
template <class T>
struct HeadLossPart {
  ops::LossTerms<T> terms;
  int64_t column;
  int64_t outputs;
  double weight;  // in the sum of all losses
};

// The losses of several heads: of each sample its loss in each, and for training the gradient of
// sum over heads of weight x sum(w l) / sum(w) at the network's output.
template <class T>
class HeadLosses final : public Operation<T> {
 public:
  // sample_loss is (heads, capacity); a gradient without columns: the losses only.
  HeadLosses(std::vector<HeadLossPart<T>> parts, const Rows<T>& prediction, T* sample_loss,
             int64_t capacity, const Rows<T>& gradient, int max_workers);

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;
  void work_on(const Batch<T>& batch, size_t head, int64_t begin, int64_t rows) const;

  std::vector<HeadLossPart<T>> parts_;
  Rows<T> prediction_;
  T* sample_loss_;
  int64_t capacity_;
  Rows<T> gradient_;
};

}  // namespace gd::plan

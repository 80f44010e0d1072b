#include "plan/loss_operation.hpp"

namespace gd::plan {

namespace {

template <class T>
Cost loss_cost(int64_t outputs) {
  Cost cost;
  cost.flops_a_row = 3 * outputs;  // difference, loss, gradient
  cost.bytes_a_row = 3 * outputs * static_cast<int64_t>(sizeof(T));
  return cost;
}

}  // namespace

template <class T>
Loss<T>::Loss(const ops::LossKernel<T>& kernel, const std::vector<double>& parameters,
              int64_t outputs, int64_t stride, const T* prediction, T* sample_loss, T* gradient,
              int64_t gradient_row, int max_workers)
    : Operation<T>(Zone::kLoss, Zone::kLoss, -1, max_workers, loss_cost<T>(outputs)),
      kernel_(kernel),
      parameters_(kernel, parameters, outputs),
      outputs_(outputs),
      stride_(stride),
      prediction_(prediction),
      sample_loss_(sample_loss),
      gradient_(gradient),
      gradient_row_(gradient_row) {}

template <class T>
void Loss<T>::work(ops::Worker& worker, const Batch<T>& batch) {
  kernels::LossRows<T> rows{};
  rows.rows = batch.rows;
  rows.outputs = outputs_;
  rows.prediction = prediction_ + batch.first_row * stride_;
  rows.ldp = stride_;
  rows.target = batch.target;
  rows.ldt = batch.target_stride;
  rows.labels = batch.labels;
  rows.weights = batch.weights;
  rows.weight_sum = batch.weight_sum;
  rows.parameters = parameters_.data();
  rows.sample_loss = sample_loss_ + batch.first_row;
  rows.gradient = gradient_ == nullptr ? nullptr : gradient_ + batch.first_row * gradient_row_;
  rows.ldg = stride_;
  rows.array = parameters_.array();
  ops::loss(worker, this->queue(), kernel_, rows);
}

template class Loss<float>;
template class Loss<double>;

}  // namespace gd::plan

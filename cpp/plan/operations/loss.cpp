#include "plan/operations/loss.hpp"

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
              const Rows<T>& prediction, T* sample_loss, const Rows<T>& gradient, int max_workers)
    : Operation<T>(Zone::kLoss, Zone::kLoss, -1, max_workers, loss_cost<T>(prediction.cols)),
      kernel_(kernel),
      parameters_(kernel, parameters, prediction.cols),
      prediction_(prediction),
      sample_loss_(sample_loss),
      gradient_(gradient) {}

template <class T>
void Loss<T>::work(ops::Worker& worker, const Batch<T>& batch) {
  kernels::LossRows<T> rows{};
  rows.rows = batch.rows;
  rows.outputs = prediction_.cols;
  rows.prediction = prediction_.read(batch);
  rows.ldp = prediction_.read_stride(batch);
  rows.target = batch.target;
  rows.ldt = batch.target_stride;
  rows.labels = batch.labels;
  rows.weights = batch.weights;
  rows.weight_sum = batch.weight_sum;
  rows.parameters = parameters_.data();
  rows.sample_loss = sample_loss_ + batch.first_row;
  rows.gradient = gradient_.cols == 0 ? nullptr : gradient_.write(batch);
  rows.ldg = gradient_.stride;
  rows.array = parameters_.array();
  ops::loss(worker, this->queue(), kernel_, rows);
}

template class Loss<float>;
template class Loss<double>;

}  // namespace gd::plan

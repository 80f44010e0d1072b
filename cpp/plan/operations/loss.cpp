#include "plan/operations/loss.hpp"

#include <algorithm>

namespace gd::plan {

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

template <class T>
MembersLoss<T>::MembersLoss(const ops::LossKernel<T>& kernel, const std::vector<double>& parameters,
                            const Rows<T>& prediction, int64_t members, T* sample_loss,
                            const Rows<T>& gradient, int max_workers)
    : Operation<T>(Zone::kLoss, Zone::kLoss, -1, max_workers, loss_cost<T>(prediction.cols)),
      kernel_(kernel),
      members_(members),
      outputs_(prediction.cols / members),
      parameters_(kernel, parameters, outputs_),
      prediction_(prediction),
      sample_loss_(sample_loss),
      gradient_(gradient) {}

template <class T>
void MembersLoss<T>::work(ops::Worker& worker, const Batch<T>& batch) {
  constexpr int64_t kRows = 64;  // whole vectors of samples, see samples-inl.hpp
  const auto prediction = prediction_.in(batch);
  kernels::LossRows<T> rows{};
  rows.outputs = outputs_;
  rows.ldp = prediction.stride;
  rows.ldt = batch.target_stride;
  rows.weight_sum = batch.weight_sum * static_cast<double>(members_);
  rows.parameters = parameters_.data();
  rows.array = parameters_.array();
  rows.ldg = gradient_.stride;
  T own[kRows];
  rows.sample_loss = own;
  const int64_t pieces = (batch.rows + kRows - 1) / kRows;
  this->queue().for_each(worker, pieces, [&](int64_t piece) {
    const int64_t i = piece * kRows;
    rows.rows = std::min(kRows, batch.rows - i);
    rows.target = batch.target == nullptr ? nullptr : batch.target + i * batch.target_stride;
    rows.labels = batch.labels == nullptr ? nullptr : batch.labels + i;
    rows.weights = batch.weights == nullptr ? nullptr : batch.weights + i;
    T* const losses = sample_loss_ + batch.first_row + i;
    std::fill_n(losses, rows.rows, T{0});
    for (int64_t member = 0; member < members_; ++member) {
      rows.prediction = prediction.row(i) + member * outputs_;
      rows.gradient = gradient_.cols == 0
                          ? nullptr
                          : gradient_.write(batch) + i * gradient_.stride + member * outputs_;
      kernel_.run(rows);
      for (int64_t j = 0; j < rows.rows; ++j) losses[j] += own[j];
    }
    for (int64_t j = 0; j < rows.rows; ++j) losses[j] /= static_cast<T>(members_);
  });
}

template class MembersLoss<float>;
template class MembersLoss<double>;
template class Loss<float>;
template class Loss<double>;

}  // namespace gd::plan

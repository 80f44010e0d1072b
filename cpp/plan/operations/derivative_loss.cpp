#include "plan/operations/derivative_loss.hpp"

#include <algorithm>
#include <cmath>

namespace gd::plan {

template <class T>
DerivativeLoss<T>::DerivativeLoss(const ops::LossKernel<T>& kernel,
                                  const std::vector<double>& parameters,
                                  const std::vector<double>& weights, const Rows<T>& prediction,
                                  T* sample_loss, int64_t capacity, const Rows<T>& gradient,
                                  int max_workers)
    : Operation<T>(Zone::kLoss, Zone::kLoss, -1, max_workers, loss_cost<T>(prediction.cols)),
      kernel_(kernel),
      weights_(weights),
      outputs_(prediction.cols / static_cast<int64_t>(1 + weights.size())),
      parameters_(kernel, parameters, outputs_),
      prediction_(prediction),
      sample_loss_(sample_loss),
      capacity_(capacity),
      gradient_(gradient) {}

template <class T>
void DerivativeLoss<T>::work(ops::Worker& worker, const Batch<T>& batch) {
  constexpr int64_t kRows = 64;  // whole vectors of samples, see samples-inl.hpp
  const auto prediction = prediction_.in(batch);
  kernels::LossRows<T> rows{};
  rows.outputs = outputs_;
  rows.ldp = prediction.stride;
  rows.ldt = batch.target_stride;
  rows.weight_sum = batch.weight_sum;
  rows.parameters = parameters_.data();
  rows.array = parameters_.array();
  rows.ldg = gradient_.stride;
  this->queue().for_each(worker, (batch.rows + kRows - 1) / kRows, [&](int64_t piece) {
    const int64_t begin = piece * kRows;
    rows.rows = std::min(kRows, batch.rows - begin);
    rows.prediction = prediction.row(begin);
    rows.target = batch.target + begin * batch.target_stride;
    rows.weights = batch.weights == nullptr ? nullptr : batch.weights + begin;
    rows.gradient =
        gradient_.cols == 0 ? nullptr : gradient_.write(batch) + begin * gradient_.stride;
    T* const losses = sample_loss_ + batch.first_row + begin;
    rows.sample_loss = losses + capacity_;
    kernel_.run(rows);
    for (int64_t i = 0; i < rows.rows; ++i) compare(batch, begin + i, losses + i);
  });
}

// The derivatives of one sample, in double: there are few of them, beside the products.
template <class T>
void DerivativeLoss<T>::compare(const Batch<T>& batch, int64_t sample, T* losses) const {
  const auto directions = static_cast<int64_t>(weights_.size());
  const T* const found = prediction_.in(batch).row(sample) + outputs_;
  const T* const wanted = batch.target + sample * batch.target_stride + outputs_;
  T* const gradient = gradient_.cols == 0 ? nullptr : gradient_.out(batch).row(sample) + outputs_;
  const double weight = batch.weights == nullptr ? 1.0 : static_cast<double>(batch.weights[sample]);
  const auto count = static_cast<double>(outputs_ * directions);
  const double scale = 2 * (weight / batch.weight_sum) / count;
  double plain = 0, weighted = 0;
  for (int64_t d = 0; d < directions; ++d) {
    const double factor = weights_[static_cast<size_t>(d)];
    double squares = 0;
    for (int64_t j = 0; j < outputs_; ++j) {
      const auto target = static_cast<double>(wanted[j * directions + d]);
      const int64_t at = d * outputs_ + j;
      const double error = std::isnan(target) ? 0.0 : static_cast<double>(found[at]) - target;
      squares += error * error;
      if (gradient != nullptr) gradient[at] = static_cast<T>(scale * (factor * error));
    }
    plain += squares;
    weighted += factor * squares;
  }
  losses[2 * capacity_] = static_cast<T>(plain / count);
  losses[0] = static_cast<T>(static_cast<double>(losses[capacity_]) + weighted / count);
}

template class DerivativeLoss<float>;
template class DerivativeLoss<double>;

}  // namespace gd::plan

#include "train/residuals.hpp"

#include <algorithm>
#include <cmath>

#include "layers/registry.hpp"

namespace gd::train {

namespace {

constexpr int64_t kAtOnce = 16;  // residuals that a worker takes at a time

}  // namespace

template <class T>
plan::PlanOptions<T> Residuals<T>::options() {
  plan::PlanOptions<T> options;
  options.lowerings = layers::lowering<T>;
  options.kind = plan::PlanKind::differentiable;
  options.capacity = kAtOnce;
  return options;
}

template <class T>
void Residuals<T>::take(const data::Dataset<T>& data, double weight_sum, ops::Extents extents,
                        int threads) {
  data_ = data;
  weight_sum_ = weight_sum;
  extents_ = extents;
  for (auto made = static_cast<int>(own_.size()); made < threads; ++made) {
    Own own;
    own.plan = std::make_unique<plan::Plan<T>>(network_, options());
    own.gradients = network_.make_flat();
    own.input_gradients = base::AlignedBuffer<T>(kAtOnce * network_.input_size());
    own_.push_back(std::move(own));
  }
}

template <class T>
void Residuals<T>::fill(ops::Worker& worker, ops::TileQueue& queue, int64_t begin, int64_t count,
                        T* jacobian, T* residuals) {
  Own& own = own_[static_cast<size_t>(worker.index())];
  if (worker.index() == 0 && begin == 0 && jacobian != nullptr) ++jacobians_;
  const int64_t outputs = network_.output_size();
  const int64_t n = ops::elements_of(extents_);
  queue.for_each(worker, (count + kAtOnce - 1) / kAtOnce, [&](int64_t tile) {
    const int64_t first = tile * kAtOnce;
    const int64_t last = std::min(first + kAtOnce, count);
    const int64_t first_row = (begin + first) / outputs;
    plan::Batch<T> batch;
    batch.rows = (begin + last - 1) / outputs + 1 - first_row;
    batch.x = data_.x.row(first_row);
    batch.x_stride = data_.x.stride;
    batch.input_gradient = own.input_gradients.data();
    batch.gradients = own.gradients.data();
    own.plan->forward(batch);
    const base::MatrixView<const T> found = own.plan->output(batch.rows);
    for (int64_t k = first; k < last; ++k) {
      const int64_t row = (begin + k) / outputs;
      const int64_t output = (begin + k) % outputs;
      const int64_t i = row - first_row;
      const double weight =
          data_.weights == nullptr ? 1.0 : static_cast<double>(data_.weights[row]);
      const T scale =
          static_cast<T>(std::sqrt(weight / (weight_sum_ * static_cast<double>(outputs))));
      residuals[k] = scale * (found.row(i)[output] - data_.target.row(row)[output]);
      if (jacobian == nullptr) continue;
      T* const chosen = own.plan->output_gradient_at(i);
      std::fill_n(chosen, outputs, T{0});
      chosen[output] = scale;
      plan::Batch<T> one = batch.rows_from(i, 1);
      one.first_row = i;
      own.plan->backward(one);
      T* to = jacobian + k * n;
      for (const parallel::Range& run : extents_) {
        to = std::copy_n(own.gradients.data() + run.begin, run.size(), to);
      }
    }
  });
}

template class Residuals<float>;
template class Residuals<double>;

}  // namespace gd::train

#include "plan/operations/gather.hpp"

#include <algorithm>

namespace gd::plan {

namespace {

template <class T>
Cost gather_cost(int64_t inputs, int64_t outputs) {
  Cost cost;
  cost.bytes_a_row = 2 * (inputs + outputs) * static_cast<int64_t>(sizeof(T));
  return cost;
}

// Rows a worker copies at a time: a few cache lines each.
constexpr int64_t kRowsAPiece = 16;

}  // namespace

template <class T>
Gather<T>::Gather(int64_t inputs, int64_t outputs, int64_t capacity, const GatherBuffers<T>& to,
                  int max_workers)
    : Operation<T>(Zone::kGather, Zone::kData, -1, max_workers, gather_cost<T>(inputs, outputs)),
      inputs_(inputs),
      outputs_(outputs),
      to_(to),
      labels_(static_cast<size_t>(capacity)) {}

template <class T>
Batch<T> Gather<T>::prepare(const Batch<T>& from, std::span<const int64_t> indices) {
  from_ = from;
  indices_ = indices;
  Batch<T> batch = from;
  batch.rows = static_cast<int64_t>(indices.size());
  batch.x = to_.x;
  batch.x_stride = inputs_;
  if (from.target != nullptr) {
    batch.target = to_.target;
    batch.target_stride = outputs_;
  }
  if (from.labels != nullptr) batch.labels = labels_.data();
  if (from.weights != nullptr) batch.weights = to_.weights;
  return batch;
}

template <class T>
void Gather<T>::work(ops::Worker& worker, const Batch<T>& batch) {
  const int64_t pieces = (batch.rows + kRowsAPiece - 1) / kRowsAPiece;
  this->queue().for_each(worker, pieces, [&](int64_t piece) {
    const int64_t end = batch.first_row + std::min(batch.rows, (piece + 1) * kRowsAPiece);
    for (int64_t i = batch.first_row + piece * kRowsAPiece; i < end; ++i) {
      const int64_t row = indices_[static_cast<size_t>(i)];
      std::copy_n(from_.x + row * from_.x_stride, inputs_, to_.x + i * inputs_);
      if (from_.target != nullptr) {
        std::copy_n(from_.target + row * from_.target_stride, outputs_, to_.target + i * outputs_);
      }
      if (from_.labels != nullptr) labels_[static_cast<size_t>(i)] = from_.labels[row];
      if (from_.weights != nullptr) to_.weights[i] = from_.weights[row];
    }
  });
}

template class Gather<float>;
template class Gather<double>;

}  // namespace gd::plan

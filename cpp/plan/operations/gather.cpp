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
Gather<T>::Gather(int64_t inputs, int64_t outputs, const std::vector<int64_t>& heads,
                  int64_t capacity, const GatherBuffers<T>& to, int max_workers)
    : Operation<T>(Zone::kGather, Zone::kData, -1, max_workers, gather_cost<T>(inputs, outputs)),
      inputs_(inputs),
      outputs_(outputs),
      to_(to),
      labels_(static_cast<size_t>(capacity) * std::max<size_t>(1, heads.size())),
      gathered_(heads.size()) {
  int64_t column = 0;
  int64_t first = 0;
  for (const int64_t width : heads) {
    heads_.push_back({width, to_.target + column, labels_.data() + first, to_.weights + first});
    column += width;
    first += capacity;
  }
}

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
  if (from.heads == nullptr || heads_.empty()) return batch;
  for (size_t h = 0; h < heads_.size(); ++h) {
    HeadBatch<T>& head = gathered_[h];
    head = from.heads[h];
    head.is_piece = true;
    head.target_stride = outputs_;
    if (head.target != nullptr) head.target = heads_[h].target;
    if (head.labels != nullptr) head.labels = heads_[h].labels;
    if (head.weights != nullptr) head.weights = heads_[h].weights;
  }
  batch.heads = gathered_.data();
  return batch;
}

template <class T>
void Gather<T>::copy_heads(int64_t row, int64_t to) const {
  for (size_t h = 0; h < heads_.size(); ++h) {
    const HeadBatch<T>& from = from_.heads[h];
    const Head& head = heads_[h];
    if (from.target != nullptr) {
      std::copy_n(from.target + row * from.target_stride, head.outputs,
                  head.target + to * outputs_);
    }
    if (from.labels != nullptr) head.labels[to] = from.labels[row];
    if (from.weights != nullptr) head.weights[to] = from.weights[row];
  }
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
      if (from_.heads != nullptr) copy_heads(row, i);
    }
  });
}

template class Gather<float>;
template class Gather<double>;

}  // namespace gd::plan

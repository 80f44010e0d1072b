#include "plan/operations/head_losses.hpp"

#include <algorithm>
#include <limits>

#include "ops/elementwise.hpp"
#include "plan/operations/loss.hpp"

namespace gd::plan {

namespace {

// Kernels take whole vectors of samples, see kernels/samples-inl.hpp; so many columns of them are
// worth a worker's while.
constexpr int64_t kSamples = 16;
constexpr int64_t kColumnsOfWork = 16;  // a loss costs as much as a pass over these

}  // namespace

template <class T>
HeadLosses<T>::HeadLosses(std::vector<HeadLossPart<T>> parts, const Rows<T>& prediction,
                          T* sample_loss, int64_t capacity, const Rows<T>& gradient,
                          int max_workers)
    : Operation<T>(Zone::kLoss, Zone::kLoss, -1, max_workers, loss_cost<T>(prediction.cols)),
      parts_(std::move(parts)),
      prediction_(prediction),
      sample_loss_(sample_loss),
      capacity_(capacity),
      gradient_(gradient) {}

template <class T>
void HeadLosses<T>::work(ops::Worker& worker, const Batch<T>& batch) {
  const int64_t groups = (batch.rows + kSamples - 1) / kSamples;
  ops::for_rows(worker, this->queue(), groups, kSamples * kColumnsOfWork * prediction_.cols,
                [&](int64_t first, int64_t count) {
                  const int64_t begin = first * kSamples;
                  const int64_t rows = std::min(count * kSamples, batch.rows - begin);
                  for (size_t head = 0; head < parts_.size(); ++head) {
                    work_on(batch, head, begin, rows);
                  }
                });
}

template <class T>
void HeadLosses<T>::work_on(const Batch<T>& batch, size_t head, int64_t begin,
                            int64_t count) const {
  const HeadLossPart<T>& part = parts_[head];
  const HeadBatch<T>& from = batch.heads[head];
  // Of the arrays, which are those of the whole step or of a gathered piece of it.
  const int64_t row = batch.first_row + (from.is_piece ? 0 : batch.draw.first_row) + begin;
  kernels::LossRows<T> rows{};
  rows.rows = count;
  rows.outputs = part.outputs;
  rows.ldp = prediction_.read_stride(batch);
  rows.prediction = prediction_.read(batch) + begin * rows.ldp + part.column;
  if (from.target != nullptr) rows.target = from.target + row * from.target_stride;
  rows.ldt = from.target_stride;
  if (from.labels != nullptr) rows.labels = from.labels + row;
  if (from.weights != nullptr) rows.weights = from.weights + row;
  // Of a head that counts nothing it is infinite, and all gradients are 0.
  rows.weight_sum = from.weight_sum / part.weight;
  if (!(from.weight_sum > 0)) rows.weight_sum = std::numeric_limits<double>::infinity();
  rows.parameters = part.terms.data();
  rows.array = part.terms.array();
  rows.sample_loss =
      sample_loss_ + static_cast<int64_t>(head) * capacity_ + batch.first_row + begin;
  if (gradient_.cols > 0) {
    rows.ldg = gradient_.stride;
    rows.gradient = gradient_.write(batch) + begin * rows.ldg + part.column;
  }
  part.terms.kernel().run(rows);
}

template class HeadLosses<float>;
template class HeadLosses<double>;

}  // namespace gd::plan

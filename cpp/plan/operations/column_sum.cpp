#include "plan/operations/column_sum.hpp"

#include <algorithm>

#include "kernels/dispatch.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::plan {

namespace {

// Columns that are summed slice by slice at a time.
constexpr int64_t kSlicedColumns = 256;

template <class T>
class ColumnSum : public Operation<T> {
 public:
  ColumnSum(const Step<T>& step, const Places<T>& places, const Rows<T>& value, int64_t offset)
      : Operation<T>(step.zone, step.phase, step.node, places.max_workers,
                     pass_cost<T>(value.cols, 1, 1)),
        value_(value),
        offset_(offset) {}
  int64_t updates() const override { return value_.cols; }

 protected:
  void work(ops::Worker& worker, const Batch<T>& batch) override {
    T* const to = batch.gradients + offset_;
    ops::column_sum<T>(worker, this->queue(), value_.in(batch), batch.part, batch.accumulate, to,
                       [&](int64_t begin, int64_t size) {
                         if (batch.rule == nullptr) return;
                         const std::span<const T> gradients(to + begin, static_cast<size_t>(size));
                         batch.rule->update_piece(*batch.update, offset_ + begin, gradients);
                       });
  }

  Rows<T> value_;
  int64_t offset_;
};

// The same where a batch may come as several slices.
template <class T>
class SlicedColumnSum final : public ColumnSum<T> {
 public:
  SlicedColumnSum(const Step<T>& step, const Places<T>& places, const Rows<T>& value,
                  int64_t offset, int64_t parameters)
      : ColumnSum<T>(step, places, value, offset), parameters_(parameters) {}
  bool sums_slices() const override { return true; }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override {
    if (batch.slices == nullptr) return ColumnSum<T>::work(worker, batch);
    const auto whole = this->value_.in(batch);
    ops::Worker alone = worker.alone();
    this->queue().for_each(
        worker, (whole.cols + kSlicedColumns - 1) / kSlicedColumns, [&](int64_t piece) {
          const int64_t begin = piece * kSlicedColumns;
          const int64_t cols = std::min(kSlicedColumns, whole.cols - begin);
          const int64_t at = this->offset_ + begin;
          const auto leaf = [&](parallel::Range rows, T* flat, bool adds) {
            const base::MatrixView<const T> own{whole.row(rows.begin) + begin, rows.size(), cols,
                                                whole.stride};
            ops::column_sum<T>(alone, this->queue(), own, sample_part(rows.size(), parameters_),
                               adds, flat + at, [](int64_t, int64_t) {});
          };
          const auto add = [&](T* to, const T* from) {
            const std::span<const T> left(to + at, static_cast<size_t>(cols));
            ops::add_parts<T>(left, from + at, 0, 1, to + at);
          };
          batch.slices->sum(sample_part(1, parameters_), leaf, add);
        });
  }

  int64_t parameters_;
};

// The same where each row holds so many of them side by side, which all count.
template <class T>
class MembersColumnSum final : public Operation<T> {
 public:
  MembersColumnSum(const Step<T>& step, const Places<T>& places, const Rows<T>& value,
                   int64_t members, int64_t offset)
      : Operation<T>(step.zone, step.phase, step.node, places.max_workers,
                     pass_cost<T>(value.cols, 1, 1)),
        value_(value),
        members_(members),
        offset_(offset) {}
  int64_t updates() const override { return value_.cols / members_; }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override {
    T* const to = batch.gradients + offset_;
    auto view = value_.in(batch);
    view.rows *= members_;
    view.cols /= members_;
    view.stride /= members_;
    ops::column_sum<T>(worker, this->queue(), view, batch.part, batch.accumulate, to,
                       [&](int64_t begin, int64_t size) {
                         if (batch.rule == nullptr) return;
                         const std::span<const T> gradients(to + begin, static_cast<size_t>(size));
                         batch.rule->update_piece(*batch.update, offset_ + begin, gradients);
                       });
  }

  Rows<T> value_;
  int64_t members_;
  int64_t offset_;
};

// Sums of a b over rows, to the gradient at a vector or, without an offset, to a value of all
// samples.
template <class T>
class ColumnProduct : public Operation<T> {
 public:
  ColumnProduct(const Step<T>& step, const Places<T>& places, const ColumnProductUse& use)
      : Operation<T>(step.zone, step.phase, step.node, places.max_workers,
                     pass_cost<T>(places.of(use.a).cols, 2, 2)),
        a_(places.of(use.a)),
        b_(places.of(use.b)),
        offset_(use.offset),
        to_(use.to == kNoValue ? nullptr : places.of(use.to).data) {}
  int64_t updates() const override { return to_ == nullptr ? a_.cols : 0; }

 protected:
  static constexpr int64_t kColumns = 64;
  static constexpr int64_t kRows = 32;

  void work(ops::Worker& worker, const Batch<T>& batch) override {
    const auto a = a_.in(batch);
    const auto b = b_.in(batch);
    ops::for_rows(worker, this->queue(), a.cols, kColumns, [&](int64_t begin, int64_t count) {
      const int64_t end = begin + count;
      for (int64_t j = begin; j < end;) {
        // Columns of b come again and again where a has more.
        const int64_t in_b = j % b.cols;
        const int64_t cols = std::min({kColumns, end - j, b.cols - in_b});
        sum(batch, a, b, j, in_b, cols);
        j += cols;
      }
    });
  }

  void sum(const Batch<T>& batch, base::MatrixView<const T> a, base::MatrixView<const T> b,
           int64_t in_a, int64_t in_b, int64_t cols) const {
    const auto& reduce = kernels::kernels().of<T>().reduce;
    T* const to = to_ == nullptr ? batch.gradients + offset_ + in_a : to_ + in_a;
    const bool goes_on = to_ == nullptr && batch.accumulate;
    for (int64_t i0 = 0; i0 < a.rows; i0 += batch.part) {
      const int64_t end = std::min(a.rows, i0 + batch.part);
      T part[kColumns];
      for (int64_t i = i0; i < end; i += kRows) {
        T products[kRows * kColumns];
        const int64_t rows = std::min(kRows, end - i);
        for (int64_t row = 0; row < rows; ++row) {
          const T* const left = a.row(i + row) + in_a;
          const T* const right = b.row(i + row) + in_b;
          T* const product = products + row * kColumns;
          for (int64_t j = 0; j < cols; ++j) product[j] = left[j] * right[j];
        }
        reduce.column_sum(rows, cols, products, kColumns, i > i0, part);
      }
      const bool adds = goes_on || i0 > 0;
      for (int64_t j = 0; j < cols; ++j) to[j] = adds ? to[j] + part[j] : part[j];
    }
    if (to_ != nullptr || batch.rule == nullptr) return;
    const std::span<const T> gradients(to, static_cast<size_t>(cols));
    batch.rule->update_piece(*batch.update, offset_ + in_a, gradients);
  }

  Rows<T> a_;
  Rows<T> b_;
  int64_t offset_;
  T* to_;
};

// The same, of a parameter, where a batch may come as several slices.
template <class T>
class SlicedColumnProduct final : public ColumnProduct<T> {
 public:
  SlicedColumnProduct(const Step<T>& step, const Places<T>& places, const ColumnProductUse& use,
                      int64_t parameters)
      : ColumnProduct<T>(step, places, use), parameters_(parameters) {}
  bool sums_slices() const override { return true; }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override {
    if (batch.slices == nullptr) return ColumnProduct<T>::work(worker, batch);
    const auto a = this->a_.in(batch);
    const auto b = this->b_.in(batch);
    // A piece lies within the columns of b, which come again and again where a has more.
    const int64_t pieces = (b.cols + this->kColumns - 1) / this->kColumns;
    this->queue().for_each(worker, a.cols / b.cols * pieces, [&](int64_t piece) {
      const int64_t in_b = piece % pieces * this->kColumns;
      const int64_t cols = std::min(this->kColumns, b.cols - in_b);
      const int64_t in_a = piece / pieces * b.cols + in_b;
      const auto leaf = [&](parallel::Range rows, T* flat, bool adds) {
        Batch<T> own = batch;
        own.gradients = flat;
        own.accumulate = adds;
        own.part = sample_part(rows.size(), parameters_);
        this->sum(own, {a.row(rows.begin), rows.size(), a.cols, a.stride},
                  {b.row(rows.begin), rows.size(), b.cols, b.stride}, in_a, in_b, cols);
      };
      const auto add = [&](T* to, const T* from) {
        const int64_t at = this->offset_ + in_a;
        const std::span<const T> left(to + at, static_cast<size_t>(cols));
        ops::add_parts<T>(left, from + at, 0, 1, to + at);
      };
      batch.slices->sum(sample_part(1, parameters_), leaf, add);
    });
  }

  int64_t parameters_;
};

}  // namespace

template <class T>
Step<T> column_sum_step(const Builder<T>& builder, ValueId value, int64_t offset) {
  Step<T> step{Zone::kBiasGradient, Zone::kBackward, builder.node(), {value}, {}};
  step.parameters_written = {offset};
  const int64_t sliced = builder.options().slices ? builder.network().flat_size() : 0;
  step.make = [value, offset, sliced](const Step<T>& made,
                                      const Places<T>& places) -> std::unique_ptr<Operation<T>> {
    if (sliced > 0) {
      return std::make_unique<SlicedColumnSum<T>>(made, places, places.of(value), offset, sliced);
    }
    return std::make_unique<ColumnSum<T>>(made, places, places.of(value), offset);
  };
  return step;
}

template <class T>
Step<T> members_sum_step(const Builder<T>& builder, ValueId value, int64_t members,
                         int64_t offset) {
  Step<T> step{Zone::kBiasGradient, Zone::kBackward, builder.node(), {value}, {}};
  step.parameters_written = {offset};
  step.make = [=](const Step<T>& made, const Places<T>& places) {
    return std::make_unique<MembersColumnSum<T>>(made, places, places.of(value), members, offset);
  };
  return step;
}

template <class T>
Step<T> column_product_step(const Builder<T>& builder, const ColumnProductUse& use) {
  Step<T> step{Zone::kBiasGradient, Zone::kBackward, builder.node(), {use.a, use.b}, {}};
  if (use.to == kNoValue) {
    step.parameters_written = {use.offset};
  } else {
    step.writes = {use.to};
  }
  const bool is_sliced = builder.options().slices && use.to == kNoValue;
  const int64_t sliced = is_sliced ? builder.network().flat_size() : 0;
  step.make = [use, sliced](const Step<T>& made,
                            const Places<T>& places) -> std::unique_ptr<Operation<T>> {
    if (sliced > 0) return std::make_unique<SlicedColumnProduct<T>>(made, places, use, sliced);
    return std::make_unique<ColumnProduct<T>>(made, places, use);
  };
  return step;
}

#define GD_INSTANTIATE(T)                                                          \
  template Step<T> column_sum_step(const Builder<T>&, ValueId, int64_t);           \
  template Step<T> members_sum_step(const Builder<T>&, ValueId, int64_t, int64_t); \
  template Step<T> column_product_step(const Builder<T>&, const ColumnProductUse&);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::plan

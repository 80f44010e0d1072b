#include "plan/operations/column_sum.hpp"

#include "plan/operations/pointwise.hpp"

namespace gd::plan {

namespace {

template <class T>
class ColumnSum final : public Operation<T> {
 public:
  ColumnSum(const Step<T>& step, const Places<T>& places, const Rows<T>& value, int64_t offset)
      : Operation<T>(step.zone, step.phase, step.node, places.max_workers,
                     pass_cost<T>(value.cols, 1, 1)),
        value_(value),
        offset_(offset) {}
  int64_t updates() const override { return value_.cols; }

 private:
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

}  // namespace

template <class T>
Step<T> column_sum_step(const Builder<T>& builder, ValueId value, int64_t offset) {
  Step<T> step{Zone::kBiasGradient, Zone::kBackward, builder.node(), {value}, {}};
  step.parameters_written = {offset};
  step.make = [value, offset](const Step<T>& made,
                              const Places<T>& places) -> std::unique_ptr<Operation<T>> {
    return std::make_unique<ColumnSum<T>>(made, places, places.of(value), offset);
  };
  return step;
}

template Step<float> column_sum_step(const Builder<float>&, ValueId, int64_t);
template Step<double> column_sum_step(const Builder<double>&, ValueId, int64_t);

}  // namespace gd::plan

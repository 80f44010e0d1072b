#include "plan/operations/columns.hpp"

namespace gd::plan {

namespace {

template <class T>
class ColumnPass final : public Operation<T> {
 public:
  ColumnPass(const Step<T>& step, const Places<T>& places, Cost cost, int64_t cols, int64_t updates,
             PassBody<T> body)
      : Operation<T>(step.zone, step.phase, step.node, places.max_workers, cost),
        cols_(cols),
        updates_(updates),
        body_(std::move(body)),
        starts_(step.starts, places),
        finishes_(step.finishes, places) {}
  int64_t updates() const override { return updates_; }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override {
    const int64_t most = columns_at_once(cols_, worker.count());
    this->queue().for_each(worker, (cols_ + most - 1) / most, [&](int64_t piece) {
      const int64_t begin = piece * most;
      const int64_t count = std::min(most, cols_ - begin);
      const Piece columns{0, batch.rows, begin, count};
      if (!starts_.empty()) starts_.run(batch, columns);
      body_(batch, begin, count);
      if (!finishes_.empty()) finishes_.run(batch, columns);
    });
  }

  int64_t cols_;
  int64_t updates_;
  PassBody<T> body_;
  Finishes<T> starts_;
  Finishes<T> finishes_;
};

}  // namespace

template <class T>
std::unique_ptr<Operation<T>> column_pass(const Step<T>& step, const Places<T>& places, Cost cost,
                                          int64_t cols, int64_t updates, PassBody<T> body) {
  return std::make_unique<ColumnPass<T>>(step, places, cost, cols, updates, std::move(body));
}

template std::unique_ptr<Operation<float>> column_pass(const Step<float>&, const Places<float>&,
                                                       Cost, int64_t, int64_t, PassBody<float>);
template std::unique_ptr<Operation<double>> column_pass(const Step<double>&, const Places<double>&,
                                                        Cost, int64_t, int64_t, PassBody<double>);

}  // namespace gd::plan

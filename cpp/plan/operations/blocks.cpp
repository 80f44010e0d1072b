#include "plan/operations/blocks.hpp"

#include <algorithm>

#include "plan/cost_model.hpp"

namespace gd::plan {

namespace {

using ops::Worker;
using parallel::Range;

template <class T>
Cost blocks_cost(const BlocksShape& shape) {
  const int64_t matrices = shape.shared ? 1 : shape.count;
  Cost cost;
  cost.flops_a_row = 2 * shape.count * shape.inputs * shape.units;
  cost.bytes_a_row = shape.count * (shape.inputs + shape.units) * static_cast<int64_t>(sizeof(T));
  cost.bytes_fixed = matrices * shape.inputs * shape.units * static_cast<int64_t>(sizeof(T));
  return cost;
}

template <class T>
struct BlocksUse {
  BlocksShape shape;
  ops::GemmScratch<T> scratch;
  ops::Precision precision;
};

// One product of all blocks, or one each, by whichever worker takes it.
template <class T>
class BlocksProduct : public Operation<T> {
 public:
  int products(int64_t rows) const final {
    const BlocksShape& shape = use_.shape;
    return ops::bf16_products(use_.precision, shape.shared ? rows * shape.count : rows, shape.units,
                              shape.inputs);
  }
  bool meets(const Batch<T>& batch, int workers) const final {
    return use_.shape.shared && tiles_of(problem(batch, 0, {0, batch.rows}), workers).share_b;
  }

 protected:
  BlocksProduct(const Step<T>& step, int max_workers, Cost cost, const BlocksUse<T>& use)
      : Operation<T>(step.zone, step.phase, step.node, max_workers, cost), use_(use) {}

  // Of one block and some rows; where the blocks share their matrix of all.
  virtual ops::GemmProblem<T> problem(const Batch<T>& batch, int64_t block, Range rows) const = 0;

  // Where rows of a block may be apart, `cuts_rows`.
  template <class Multiply>
  void for_products(Worker& worker, const Batch<T>& batch, bool cuts_rows, Multiply&& multiply) {
    const BlocksShape& shape = use_.shape;
    if (shape.shared) return multiply(worker, 0, problem(batch, 0, {0, batch.rows}));
    int64_t pieces = 1;
    if (cuts_rows && worker.count() > 1) {
      pieces = std::clamp<int64_t>(kPiecesAWorker * worker.count() / shape.count, 1,
                                   std::max<int64_t>(1, batch.rows / kLeastRows));
    }
    this->queue().for_each(worker, shape.count * pieces, [&](int64_t item) {
      Worker alone = worker.alone();
      const Range rows =
          parallel::split(batch.rows, static_cast<int>(pieces), static_cast<int>(item % pieces));
      multiply(alone, item / pieces, problem(batch, item / pieces, rows));
    });
  }
  void gemm(Worker& worker, const ops::GemmProblem<T>& problem) {
    ops::gemm(worker, this->queue(), tiles_of(problem, worker.count()), problem, use_.scratch);
  }
  const BlocksShape& shape() const { return use_.shape; }

 private:
  static constexpr int64_t kPiecesAWorker = 4;
  static constexpr int64_t kLeastRows = 32;

  static ops::GemmTiles tiles_of(const ops::GemmProblem<T>& problem, int workers) {
    if (workers == 1) return {};
    const bool packs_b = problem.b_layout != ops::Layout::panels || problem.products > 0;
    return ops::gemm_tiles<T>(problem.m, problem.n, problem.k, workers, packs_b, problem.products);
  }

  BlocksUse<T> use_;
};

template <class T>
class BlocksForward final : public BlocksProduct<T> {
 public:
  BlocksForward(const Step<T>& step, const Places<T>& places, const BlocksUse<T>& use, ValueId x,
                ValueId z)
      : BlocksProduct<T>(step, places.max_workers, cost_of(use.shape), use),
        x_(places.of(x)),
        z_(places.of(z)) {}

 private:
  static Cost cost_of(const BlocksShape& shape) {
    Cost cost = blocks_cost<T>(shape);
    if (shape.bias >= 0) cost.flops_a_row += shape.count * shape.units;
    return cost;
  }

  ops::GemmProblem<T> problem(const Batch<T>& batch, int64_t block, Range rows) const override {
    const BlocksShape& shape = this->shape();
    const int64_t in = x_.read_stride(batch);
    ops::GemmProblem<T> p;
    p.m = shape.shared ? rows.size() * shape.count : rows.size();
    p.n = shape.units;
    p.k = shape.inputs;
    p.products = this->products(batch.rows_together);
    p.a = x_.read(batch) + rows.begin * in + (shape.same_input ? 0 : block * shape.inputs);
    p.a_row = shape.shared ? shape.inputs : in;
    p.b = batch.parameters + shape.weight + block * shape.inputs * shape.units;
    p.b_layout = ops::Layout::panels;
    p.c = z_.write(batch) + rows.begin * z_.stride + block * shape.units;
    p.c_row = shape.shared ? shape.units : z_.stride;
    if (shape.bias >= 0) p.bias = batch.parameters + shape.bias + block * shape.units;
    return p;
  }

  void work(Worker& worker, const Batch<T>& batch) override {
    this->for_products(worker, batch, true,
                       [&](Worker& own, int64_t, const ops::GemmProblem<T>& problem) {
                         this->gemm(own, problem);
                       });
  }

  Rows<T> x_;
  Rows<T> z_;
};

template <class T>
class BlocksInputGradient final : public BlocksProduct<T> {
 public:
  BlocksInputGradient(const Step<T>& step, const Places<T>& places, const BlocksUse<T>& use,
                      ValueId delta, ValueId to)
      : BlocksProduct<T>(step, places.max_workers, blocks_cost<T>(use.shape), use),
        delta_(places.of(delta)),
        to_(places.of(to)) {}

 private:
  ops::GemmProblem<T> problem(const Batch<T>& batch, int64_t block, Range rows) const override {
    const BlocksShape& shape = this->shape();
    ops::GemmProblem<T> p;
    p.m = shape.shared ? rows.size() * shape.count : rows.size();
    p.n = shape.inputs;
    p.k = shape.units;
    p.products = this->products(batch.rows_together);
    p.a = delta_.read(batch) + rows.begin * delta_.stride + block * shape.units;
    p.a_row = shape.shared ? shape.units : delta_.stride;
    p.b = batch.parameters + shape.weight + block * shape.inputs * shape.units;
    p.b_layout = ops::Layout::panels_transposed;
    p.c = to_.write(batch) + rows.begin * to_.stride + block * shape.inputs;
    p.c_row = shape.shared ? shape.inputs : to_.stride;
    p.part = kSumPart;
    return p;
  }

  void work(Worker& worker, const Batch<T>& batch) override {
    this->for_products(worker, batch, true,
                       [&](Worker& own, int64_t, const ops::GemmProblem<T>& problem) {
                         this->gemm(own, problem);
                       });
  }

  Rows<T> delta_;
  Rows<T> to_;
};

template <class T>
class BlocksWeightGradient final : public BlocksProduct<T> {
 public:
  BlocksWeightGradient(const Step<T>& step, const Places<T>& places, const BlocksUse<T>& use,
                       ValueId x, ValueId delta)
      : BlocksProduct<T>(step, places.max_workers, blocks_cost<T>(use.shape), use),
        x_(places.of(x)),
        delta_(places.of(delta)) {}

  int64_t updates() const override {
    const BlocksShape& shape = this->shape();
    return (shape.shared ? 1 : shape.count) * shape.inputs * shape.units;
  }
  bool updates_apart() const override { return true; }

 private:
  ops::GemmProblem<T> problem(const Batch<T>& batch, int64_t block, Range rows) const override {
    const BlocksShape& shape = this->shape();
    ops::GemmProblem<T> p;
    p.m = shape.inputs;
    p.n = shape.units;
    p.k = shape.shared ? rows.size() * shape.count : rows.size();
    p.products = this->products(batch.rows_together);
    p.a = x_.read(batch) + (shape.same_input ? 0 : block * shape.inputs);
    p.a_row = 1;
    p.a_col = shape.shared ? shape.inputs : x_.read_stride(batch);
    p.b = delta_.read(batch) + block * shape.units;
    p.b_row = shape.shared ? shape.units : delta_.stride;
    p.c = batch.gradients + shape.weight + block * shape.inputs * shape.units;
    p.c_layout = ops::Layout::panels;
    p.part = batch.part;
    p.accumulate = batch.accumulate;
    return p;
  }

  void work(Worker& worker, const Batch<T>& batch) override {
    this->for_products(
        worker, batch, false, [&](Worker& own, int64_t block, ops::GemmProblem<T> problem) {
          const int64_t at =
              this->shape().weight + block * this->shape().inputs * this->shape().units;
          const auto update = [&](int64_t begin, std::span<const T> gradients) {
            const profiling::InnerTime time(own.lane());
            batch.rule->update_piece(*batch.update, at + begin, gradients);
          };
          const base::FunctionRef<void(int64_t, std::span<const T>)> consume = update;
          if (batch.rule != nullptr) problem.consume = &consume;
          this->gemm(own, problem);
        });
  }

  Rows<T> x_;
  Rows<T> delta_;
};

std::vector<int64_t> parameters_of(const BlocksShape& shape) {
  std::vector<int64_t> offsets = {shape.weight};
  if (shape.bias >= 0) offsets.push_back(shape.bias);
  return offsets;
}

}  // namespace

template <class T>
Step<T> blocks_forward_step(const Builder<T>& builder, const BlocksShape& shape, ValueId x,
                            ValueId z) {
  Step<T> step{Zone::kDenseForward, Zone::kForward, builder.node(), {x}, {z}};
  step.parameters_read = parameters_of(shape);
  step.make = [=, precision = builder.options().precision](const Step<T>& made,
                                                           const Places<T>& places) {
    return std::make_unique<BlocksForward<T>>(made, places,
                                              BlocksUse<T>{shape, places.scratch, precision}, x, z);
  };
  return step;
}

template <class T>
Step<T> blocks_input_gradient_step(const Builder<T>& builder, const BlocksShape& shape,
                                   ValueId delta, ValueId to) {
  Step<T> step{Zone::kInputGradient, Zone::kBackward, builder.node(), {delta}, {to}};
  step.parameters_read = {shape.weight};
  step.make = [=, precision = builder.options().precision](const Step<T>& made,
                                                           const Places<T>& places) {
    return std::make_unique<BlocksInputGradient<T>>(
        made, places, BlocksUse<T>{shape, places.scratch, precision}, delta, to);
  };
  return step;
}

template <class T>
Step<T> blocks_weight_gradient_step(const Builder<T>& builder, const BlocksShape& shape, ValueId x,
                                    ValueId delta) {
  Step<T> step{Zone::kWeightGradient, Zone::kBackward, builder.node(), {x, delta}, {}};
  step.parameters_written = {shape.weight};
  step.make = [=, precision = builder.options().precision](const Step<T>& made,
                                                           const Places<T>& places) {
    return std::make_unique<BlocksWeightGradient<T>>(
        made, places, BlocksUse<T>{shape, places.scratch, precision}, x, delta);
  };
  return step;
}

template <class T>
void cover_blocks(Builder<T>& builder, const BlocksShape& shape) {
  const int64_t rows = builder.options().capacity * (shape.shared ? shape.count : 1);
  const int most = ops::bf16_products(builder.options().precision, rows, shape.units, shape.inputs);
  for (const int products : {0, most}) {
    const auto cover = [&](int64_t m, int64_t n, int64_t k) {
      builder.cover(ops::gemm_scratch_size<T>(m, n, k, products));
    };
    cover(rows, shape.units, shape.inputs);
    cover(shape.inputs, shape.units, rows);
    cover(rows, shape.inputs, shape.units);
  }
}

#define GD_INSTANTIATE(T)                                                                        \
  template Step<T> blocks_forward_step(const Builder<T>&, const BlocksShape&, ValueId, ValueId); \
  template Step<T> blocks_input_gradient_step(const Builder<T>&, const BlocksShape&, ValueId,    \
                                              ValueId);                                          \
  template Step<T> blocks_weight_gradient_step(const Builder<T>&, const BlocksShape&, ValueId,   \
                                               ValueId);                                         \
  template void cover_blocks(Builder<T>&, const BlocksShape&);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::plan

#include "plan/operations/product.hpp"

#include "plan/cost_model.hpp"
#include "plan/operations/finishes.hpp"

namespace gd::plan {

namespace {

using ops::Worker;

// The product of a layer over a batch: rows x inputs times inputs x units, in any of its three
// roles.
template <class T>
Cost product_cost(const DenseShape& shape) {
  Cost cost;
  cost.flops_a_row = 2 * shape.inputs * shape.units;
  cost.bytes_a_row = (shape.inputs + shape.units) * static_cast<int64_t>(sizeof(T));
  cost.bytes_fixed = shape.inputs * shape.units * static_cast<int64_t>(sizeof(T));
  return cost;
}

template <class T>
Cost forward_cost(const DenseShape& shape) {
  Cost cost = product_cost<T>(shape);
  if (shape.bias >= 0) cost.flops_a_row += shape.units;
  return cost;
}

template <class T>
ops::GemmTiles tiles_of(const ops::GemmProblem<T>& problem, int workers) {
  if (workers == 1) return {};
  const bool packs_b = problem.b_layout != ops::Layout::panels || problem.products > 0;
  return ops::gemm_tiles<T>(problem.m, problem.n, problem.k, workers, packs_b, problem.products);
}

// One of a layer's matrix products.
template <class T>
class Product : public Operation<T> {
 public:
  int products(int64_t rows) const final { return use_.products(rows); }
  bool meets(const Batch<T>& batch, int workers) const final {
    return tiles_of(problem(batch), workers).share_b;
  }

 protected:
  Product(const Step<T>& step, int max_workers, Cost cost, const DenseUse<T>& use)
      : Operation<T>(step.zone, step.phase, step.node, max_workers, cost), use_(use) {}

  virtual ops::GemmProblem<T> problem(const Batch<T>& batch) const = 0;
  void work(Worker& worker, const Batch<T>& batch) override { multiply(worker, problem(batch)); }
  void multiply(Worker& worker, const ops::GemmProblem<T>& problem) {
    ops::gemm(worker, this->queue(), tiles_of(problem, worker.count()), problem, use_.scratch);
  }
  const DenseUse<T>& use() const { return use_; }
  const DenseShape& shape() const { return use_.shape; }

 private:
  DenseUse<T> use_;
};

// What a product finishes its tiles with, if that is one activation or its derivative.
template <class T>
struct Finish {
  ActivationUse<T> use;
  bool is_backward = false;
  Rows<T> rows;  // of the output, or of what backward needs

  static bool is_all_of(const Step<T>& step) {
    using Kind = typename Pointwise<T>::Kind;
    if (step.finishes.size() != 1) return step.finishes.empty();
    const Kind kind = step.finishes.front().kind;
    return kind == Kind::activation || kind == Kind::derivative;
  }

  static Finish of(const Step<T>& step, const Places<T>& places) {
    if (step.finishes.empty() || !is_all_of(step)) return {};
    const Pointwise<T>& finish = step.finishes.front();
    const bool is_backward = finish.kind == Pointwise<T>::Kind::derivative;
    return {finish.use, is_backward, places.of(is_backward ? finish.other : finish.to)};
  }

  void set(ops::Epilogue<T>& epilogue, const Batch<T>& batch) const {
    if (use.kernel == nullptr) return;
    epilogue.activation = use.kernel;
    epilogue.parameters = use.parameters.data();
    epilogue.stride = rows.read_stride(batch);
    if (is_backward) {
      epilogue.kind = ops::Epilogue<T>::Kind::backward;
      epilogue.saved = rows.read(batch);
    } else {
      epilogue.kind = ops::Epilogue<T>::Kind::forward;
      epilogue.output = rows.write(batch);
    }
  }
};

// A product that finishes its tiles with more than that. To the matmul it is one activation, whose
// parameters are what it needs to find a tile's place.
template <class T, class P>
class WithFinishes final : public P {
 public:
  template <class... Arguments>
  WithFinishes(const Step<T>& step, const Places<T>& places, const Arguments&... arguments)
      : P(step, places, arguments...), finishes_(step.finishes, places) {}

 private:
  struct Run {
    const Finishes<T>& finishes;
    const Batch<T>& batch;
    const T* first;  // of the result
    int64_t stride;
  };

  void work(Worker& worker, const Batch<T>& batch) override {
    static constexpr kernels::ActivationKernel<T> kernel{"finishes", "",          false,  false,
                                                         false,      finish_tile, nullptr};
    ops::GemmProblem<T> p = this->problem(batch);
    const Run run{finishes_, batch, p.c, p.c_row};
    p.epilogue.kind = ops::Epilogue<T>::Kind::forward;
    p.epilogue.activation = &kernel;
    p.epilogue.parameters = static_cast<const T*>(static_cast<const void*>(&run));
    p.epilogue.output = p.c;
    p.epilogue.stride = p.c_row;
    this->multiply(worker, p);
  }

  static void finish_tile(int64_t rows, int64_t cols, const T*, int64_t, T* tile, int64_t,
                          const T* parameters) {
    const Run& run = *static_cast<const Run*>(static_cast<const void*>(parameters));
    const int64_t at = tile - run.first;
    run.finishes.run(run.batch, {at / run.stride, rows, at % run.stride, cols});
  }

  Finishes<T> finishes_;
};

// The operation of a product, with what it finishes with.
template <class T, class P>
std::unique_ptr<Operation<T>> product_operation(const Step<T>& step, const Places<T>& places,
                                                const DenseUse<T>& use, ValueId reads) {
  if (Finish<T>::is_all_of(step)) return std::make_unique<P>(step, places, use, reads);
  return std::make_unique<WithFinishes<T, P>>(step, places, use, reads);
}

template <class T>
class DenseForward : public Product<T> {
 public:
  DenseForward(const Step<T>& step, const Places<T>& places, const DenseUse<T>& use, ValueId x)
      : Product<T>(step, places.max_workers, forward_cost<T>(use.shape), use),
        x_(places.of(x)),
        z_(places.of(step.result)),
        finish_(Finish<T>::of(step, places)) {}

 protected:
  ops::GemmProblem<T> problem(const Batch<T>& batch) const override {
    const DenseShape& shape = this->shape();
    ops::GemmProblem<T> p;
    p.m = batch.rows;
    p.n = shape.units;
    p.k = shape.inputs;
    p.products = this->use().products(batch.rows_together);
    p.a = x_.read(batch);
    p.a_row = x_.read_stride(batch);
    // (inputs, units), or transposed; of one unit both lie alike.
    p.b = batch.parameters + shape.weight;
    p.b_layout =
        shape.as_it_is && shape.units > 1 ? ops::Layout::panels_transposed : ops::Layout::panels;
    p.c = z_.write(batch);
    p.c_row = z_.stride;
    if (shape.bias >= 0) p.bias = batch.parameters + shape.bias;
    finish_.set(p.epilogue, batch);
    return p;
  }

 private:
  Rows<T> x_;
  Rows<T> z_;
  Finish<T> finish_;
};

template <class T>
class InputGradient : public Product<T> {
 public:
  InputGradient(const Step<T>& step, const Places<T>& places, const DenseUse<T>& use, ValueId delta)
      : Product<T>(step, places.max_workers, product_cost<T>(use.shape), use),
        delta_(places.of(delta)),
        to_(places.of(step.result)),
        finish_(Finish<T>::of(step, places)) {}

 protected:
  ops::GemmProblem<T> problem(const Batch<T>& batch) const override {
    const DenseShape& shape = this->shape();
    ops::GemmProblem<T> p;
    p.m = batch.rows;
    p.n = shape.inputs;
    p.k = shape.units;
    p.products = this->use().products(batch.rows_together);
    p.a = delta_.read(batch);
    p.a_row = delta_.stride;
    p.b = batch.parameters + shape.weight;  // (units, inputs), or transposed
    p.b_layout = shape.as_it_is ? ops::Layout::panels : ops::Layout::panels_transposed;
    p.c = to_.write(batch);
    p.c_row = to_.stride;
    p.part = kSumPart;
    finish_.set(p.epilogue, batch);
    return p;
  }

 private:
  Rows<T> delta_;
  Rows<T> to_;
  Finish<T> finish_;
};

template <class T, bool kUpdates>
class WeightGradient : public Product<T> {
 public:
  WeightGradient(const Step<T>& step, const Places<T>& places, const DenseUse<T>& use, ValueId x,
                 ValueId delta)
      : Product<T>(step, places.max_workers, product_cost<T>(use.shape), use),
        x_(places.of(x)),
        delta_(places.of(delta)) {}

  int64_t updates() const override {
    return kUpdates ? this->shape().inputs * this->shape().units : 0;
  }
  bool updates_apart() const override { return kUpdates; }

 protected:
  ops::GemmProblem<T> problem(const Batch<T>& batch) const override {
    const DenseShape& shape = this->shape();
    // (rows, inputs) and (rows, units): the one is A's transpose, the other B.
    const T* const input = x_.read(batch);
    const int64_t input_row = x_.read_stride(batch);
    const T* const delta = delta_.read(batch);
    const int64_t delta_row = delta_.stride;
    ops::GemmProblem<T> p;
    p.m = shape.as_it_is ? shape.units : shape.inputs;
    p.n = shape.as_it_is ? shape.inputs : shape.units;
    p.k = batch.rows;
    p.products = this->use().products(batch.rows_together);
    p.a = shape.as_it_is ? delta : input;
    p.a_row = 1;
    p.a_col = shape.as_it_is ? delta_row : input_row;
    p.b = shape.as_it_is ? input : delta;
    p.b_row = shape.as_it_is ? input_row : delta_row;
    p.c = batch.gradients + shape.weight;
    p.c_layout = ops::Layout::panels;
    p.part = batch.part;
    p.accumulate = batch.accumulate;
    return p;
  }

  void work(Worker& worker, const Batch<T>& batch) override {
    ops::GemmProblem<T> p = WeightGradient::problem(batch);  // no virtual call
    const auto update = [&](int64_t begin, std::span<const T> gradients) {
      const profiling::InnerTime time(worker.lane());
      batch.rule->update_piece(*batch.update, this->shape().weight + begin, gradients);
    };
    const base::FunctionRef<void(int64_t, std::span<const T>)> consume = update;
    if (kUpdates && batch.rule != nullptr) p.consume = &consume;
    this->multiply(worker, p);
  }

 private:
  Rows<T> x_;
  Rows<T> delta_;
};

// The same where a batch may come as several slices: some columns at a time, so that what is summed
// slice by slice stays in cache.
template <class T>
class SlicedWeightGradient final : public WeightGradient<T, false> {
 public:
  using WeightGradient<T, false>::WeightGradient;
  bool sums_slices() const override { return true; }

 private:
  static constexpr int64_t kBytesInCache = 256 << 10;

  void work(Worker& worker, const Batch<T>& batch) override {
    if (batch.slices == nullptr) return WeightGradient<T, false>::work(worker, batch);
    const ops::GemmProblem<T> whole = this->problem(batch);
    const int64_t panels =
        kBytesInCache / (whole.m * base::kPanel * static_cast<int64_t>(sizeof(T)));
    const int64_t columns = std::max<int64_t>(2, panels) * base::kPanel;
    Worker alone = worker.alone();
    this->queue().for_each(worker, (whole.n + columns - 1) / columns, [&](int64_t piece) {
      const int64_t begin = piece * columns;
      sum_columns(alone, batch, whole, begin, std::min(columns, whole.n - begin));
    });
  }

  void sum_columns(Worker& worker, const Batch<T>& batch, const ops::GemmProblem<T>& whole,
                   int64_t begin, int64_t columns) {
    ops::GemmProblem<T> p = whole;
    p.n = columns;
    const int64_t at = this->shape().weight + begin * whole.m;
    const auto leaf = [&](parallel::Range rows, T* flat, bool adds) {
      p.k = rows.size();
      p.part = sample_part(p.k, this->use().parameters);
      p.a = whole.a + rows.begin * whole.a_col;
      p.b = whole.b + rows.begin * whole.b_row + begin;
      p.c = flat + at;
      p.accumulate = adds;
      ops::gemm(worker, this->queue(), {}, p, this->use().scratch);
    };
    const auto add = [&](T* to, const T* from) {
      const std::span<const T> left(to + at, static_cast<size_t>(columns * whole.m));
      ops::add_parts<T>(left, from + at, 0, 1, to + at);
    };
    batch.slices->sum(sample_part(1, this->use().parameters), leaf, add);
  }
};

template <class T>
DenseUse<T> use_of(const DenseShape& shape, const Places<T>& places, ops::Precision precision) {
  return {shape, places.scratch, precision};
}

std::vector<int64_t> parameters_of(const DenseShape& shape) {
  std::vector<int64_t> offsets = {shape.weight};
  if (shape.bias >= 0) offsets.push_back(shape.bias);
  return offsets;
}

}  // namespace

template <class T>
Step<T> dense_forward_step(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                           ValueId z) {
  Step<T> step{Zone::kDenseForward, Zone::kForward, builder.node(), {x}, {z}};
  step.parameters_read = parameters_of(shape);
  step.result = z;
  step.pieces = Pieces::tiles;
  step.make = [shape, x, precision = builder.options().precision](const Step<T>& made,
                                                                  const Places<T>& places) {
    const DenseUse<T> use = use_of(shape, places, precision);
    return product_operation<T, DenseForward<T>>(made, places, use, x);
  };
  return step;
}

template <class T>
Step<T> input_gradient_step(const Builder<T>& builder, const DenseShape& shape, ValueId delta,
                            ValueId to) {
  Step<T> step{Zone::kInputGradient, Zone::kBackward, builder.node(), {delta}, {to}};
  step.parameters_read = {shape.weight};
  step.result = to;
  step.pieces = Pieces::tiles;
  step.make = [shape, delta, precision = builder.options().precision](const Step<T>& made,
                                                                      const Places<T>& places) {
    const DenseUse<T> use = use_of(shape, places, precision);
    return product_operation<T, InputGradient<T>>(made, places, use, delta);
  };
  return step;
}

template <bool kUpdates, class T>
Step<T> make_weight_gradient(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                             ValueId delta) {
  Step<T> step{Zone::kWeightGradient, Zone::kBackward, builder.node(), {x, delta}, {}};
  step.parameters_written = {shape.weight};
  const bool slices = builder.options().slices;
  step.make = [shape, x, delta, slices, precision = builder.options().precision,
               parameters = builder.network().flat_size()](
                  const Step<T>& made, const Places<T>& places) -> std::unique_ptr<Operation<T>> {
    if (slices) {
      DenseUse<T> use = use_of(shape, places, precision);
      use.parameters = parameters;
      return std::make_unique<SlicedWeightGradient<T>>(made, places, use, x, delta);
    }
    return std::make_unique<WeightGradient<T, kUpdates>>(
        made, places, use_of(shape, places, precision), x, delta);
  };
  return step;
}

template <class T>
Step<T> weight_gradient_step(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                             ValueId delta) {
  return make_weight_gradient<true>(builder, shape, x, delta);
}

template <class T>
Step<T> plain_weight_gradient_step(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                                   ValueId delta) {
  return make_weight_gradient<false>(builder, shape, x, delta);
}

template <class T>
void cover_products(Builder<T>& builder, const DenseShape& shape) {
  const int64_t capacity = builder.options().capacity;
  const int most =
      ops::bf16_products(builder.options().precision, capacity, shape.units, shape.inputs);
  for (const int products : {0, most}) {
    const auto cover = [&](int64_t m, int64_t n, int64_t k) {
      builder.cover(ops::gemm_scratch_size<T>(m, n, k, products));
    };
    cover(capacity, shape.units, shape.inputs);
    if (shape.as_it_is) {
      cover(shape.units, shape.inputs, capacity);
    } else {
      cover(shape.inputs, shape.units, capacity);
    }
    cover(capacity, shape.inputs, shape.units);
  }
}

#define GD_INSTANTIATE(T)                                                                        \
  template Step<T> dense_forward_step(const Builder<T>&, const DenseShape&, ValueId, ValueId);   \
  template Step<T> input_gradient_step(const Builder<T>&, const DenseShape&, ValueId, ValueId);  \
  template Step<T> weight_gradient_step(const Builder<T>&, const DenseShape&, ValueId, ValueId); \
  template Step<T> plain_weight_gradient_step(const Builder<T>&, const DenseShape&, ValueId,     \
                                              ValueId);                                          \
  template void cover_products(Builder<T>&, const DenseShape&);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::plan

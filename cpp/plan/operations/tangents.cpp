#include "plan/operations/tangents.hpp"

#include <algorithm>

#include "plan/cost_model.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::plan {

namespace {

using ops::Worker;

enum class Role : uint8_t { forward, input_gradient, weight_gradient };

// A layer's product in any of its three roles, over the numbers of all samples and their
// derivatives: so many rows of a product a sample.
template <class T>
class TangentProduct final : public Operation<T> {
 public:
  TangentProduct(const Step<T>& step, const Places<T>& places, Role role, const DenseUse<T>& use,
                 int64_t rows_a_sample, ValueId from, ValueId to)
      : Operation<T>(step.zone, step.phase, step.node, places.max_workers,
                     cost_of(use.shape, rows_a_sample)),
        role_(role),
        use_(use),
        each_(rows_a_sample),
        from_(places.of(from)),
        to_(places.of(to)) {}

  int products(int64_t rows) const override { return use_.products(rows * each_); }
  bool meets(const Batch<T>& batch, int workers) const override {
    return tiles_of(problem(batch), workers).share_b;
  }
  int64_t updates() const override {
    return role_ == Role::weight_gradient ? use_.shape.inputs * use_.shape.units : 0;
  }
  bool updates_apart() const override { return role_ == Role::weight_gradient; }

 private:
  static Cost cost_of(const DenseShape& shape, int64_t rows_a_sample) {
    constexpr auto kBytes = static_cast<int64_t>(sizeof(T));
    Cost cost;
    cost.flops_a_row = 2 * rows_a_sample * shape.inputs * shape.units;
    cost.bytes_a_row = rows_a_sample * (shape.inputs + shape.units) * kBytes;
    cost.bytes_fixed = shape.inputs * shape.units * kBytes;
    return cost;
  }

  static ops::GemmTiles tiles_of(const ops::GemmProblem<T>& problem, int workers) {
    if (workers == 1) return {};
    const bool packs_b = problem.b_layout != ops::Layout::panels || problem.products > 0;
    return ops::gemm_tiles<T>(problem.m, problem.n, problem.k, workers, packs_b, problem.products);
  }

  ops::GemmProblem<T> problem(const Batch<T>& batch) const {
    ops::GemmProblem<T> p;
    p.products = products(batch.rows_together);
    if (role_ == Role::weight_gradient) {
      set_weight_gradient(p, batch);
    } else {
      set_rows(p, batch);
    }
    return p;
  }

  // Rows times W, or its transpose.
  void set_rows(ops::GemmProblem<T>& p, const Batch<T>& batch) const {
    const DenseShape& shape = use_.shape;
    const bool forward = role_ == Role::forward;
    p.m = batch.rows * each_;
    p.n = forward ? shape.units : shape.inputs;
    p.k = forward ? shape.inputs : shape.units;
    p.a = from_.read(batch);
    p.a_row = p.k;
    p.b = batch.parameters + shape.weight;
    // As in product.cpp: of one unit both lie alike.
    const bool as_it_is = forward ? shape.as_it_is && shape.units > 1 : shape.as_it_is;
    p.b_layout = as_it_is == forward ? ops::Layout::panels_transposed : ops::Layout::panels;
    p.c = to_.write(batch);
    p.c_row = p.n;
    if (!forward) p.part = kSumPart;
  }

  void set_weight_gradient(ops::GemmProblem<T>& p, const Batch<T>& batch) const {
    const DenseShape& shape = use_.shape;
    const T* const x = from_.read(batch);
    const T* const delta = to_.read(batch);
    p.m = shape.as_it_is ? shape.units : shape.inputs;
    p.n = shape.as_it_is ? shape.inputs : shape.units;
    p.k = batch.rows * each_;
    p.a = shape.as_it_is ? delta : x;
    p.a_row = 1;
    p.a_col = p.m;
    p.b = shape.as_it_is ? x : delta;
    p.b_row = p.n;
    p.c = batch.gradients + shape.weight;
    p.c_layout = ops::Layout::panels;
    p.part = batch.part;
    p.accumulate = batch.accumulate;
  }

  void work(Worker& worker, const Batch<T>& batch) override {
    ops::GemmProblem<T> p = problem(batch);
    const auto update = [&](int64_t begin, std::span<const T> gradients) {
      const profiling::InnerTime time(worker.lane());
      batch.rule->update_piece(*batch.update, use_.shape.weight + begin, gradients);
    };
    const base::FunctionRef<void(int64_t, std::span<const T>)> consume = update;
    if (role_ == Role::weight_gradient && batch.rule != nullptr) p.consume = &consume;
    ops::gemm(worker, this->queue(), tiles_of(p, worker.count()), p, use_.scratch);
  }

  Role role_;
  DenseUse<T> use_;
  int64_t each_;
  Rows<T> from_;  // x or the gradient at z
  Rows<T> to_;    // what is made; of the weight gradient what it reads beside x
};

// The sum of the numbers' own gradients over samples.
template <class T>
class TangentBiasGradient final : public Operation<T> {
 public:
  TangentBiasGradient(const Step<T>& step, const Places<T>& places, const DenseShape& shape,
                      ValueId delta)
      : Operation<T>(step.zone, step.phase, step.node, places.max_workers,
                     pass_cost<T>(shape.units, 1, 1)),
        delta_(places.of(delta)),
        units_(shape.units),
        offset_(shape.bias) {}
  int64_t updates() const override { return units_; }

 private:
  void work(Worker& worker, const Batch<T>& batch) override {
    T* const to = batch.gradients + offset_;
    auto own = delta_.in(batch);
    own.cols = units_;
    ops::column_sum<T>(worker, this->queue(), own, batch.part, batch.accumulate, to,
                       [&](int64_t begin, int64_t size) {
                         if (batch.rule == nullptr) return;
                         const std::span<const T> gradients(to + begin, static_cast<size_t>(size));
                         batch.rule->update_piece(*batch.update, offset_ + begin, gradients);
                       });
  }

  Rows<T> delta_;
  int64_t units_;
  int64_t offset_;
};

template <class T>
int64_t rows_a_sample(const Builder<T>& builder) {
  return 1 + builder.options().directions;
}

template <class T>
void set_product(Step<T>& step, const Builder<T>& builder, Role role, const DenseShape& shape,
                 ValueId from, ValueId to) {
  // A sum over its rows is cut by the rows of the product, and not where parts of a batch begin.
  step.by_tiles = true;
  step.make = [=, each = rows_a_sample(builder), precision = builder.options().precision](
                  const Step<T>& made, const Places<T>& places) {
    return std::make_unique<TangentProduct<T>>(
        made, places, role, DenseUse<T>{shape, places.scratch, precision}, each, from, to);
  };
}

}  // namespace

template <class T>
ValueId value_with_tangents(Builder<T>& builder, int64_t cols) {
  return builder.set_exact(builder.value(
      base::checked_product(rows_a_sample(builder), cols, "columns of values with derivatives")));
}

template <class T>
ValueId input_with_tangents(Builder<T>& builder, size_t i) {
  if (!builder.network().graph().is_input(builder.spec().inputs.at(i))) return builder.input(i);
  const int64_t cols = builder.input_width(i);
  const ValueId with = value_with_tangents(builder, cols);
  builder.add(row_step<T>(Zone::kAdd, Zone::kForward, builder.node(), {builder.input(i)}, {with}, 0,
                          [=](const Batch<T>&, const auto& in, const auto& out) {
                            T* const each = std::copy_n(in[0], cols, out[0]);
                            std::fill_n(each, cols * cols, T{0});
                            for (int64_t d = 0; d < cols; ++d) each[d * cols + d] = 1;
                          }));
  return with;
}

template <class T>
Step<T> tangent_forward_step(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                             ValueId z) {
  Step<T> step{Zone::kDenseForward, Zone::kForward, builder.node(), {x}, {z}};
  step.parameters_read = {shape.weight};
  set_product(step, builder, Role::forward, shape, x, z);
  return step;
}

template <class T>
Step<T> tangent_input_gradient_step(const Builder<T>& builder, const DenseShape& shape,
                                    ValueId delta, ValueId to) {
  Step<T> step{Zone::kInputGradient, Zone::kBackward, builder.node(), {delta}, {to}};
  step.parameters_read = {shape.weight};
  set_product(step, builder, Role::input_gradient, shape, delta, to);
  return step;
}

template <class T>
Step<T> tangent_weight_gradient_step(const Builder<T>& builder, const DenseShape& shape, ValueId x,
                                     ValueId delta) {
  Step<T> step{Zone::kWeightGradient, Zone::kBackward, builder.node(), {x, delta}, {}};
  step.parameters_written = {shape.weight};
  set_product(step, builder, Role::weight_gradient, shape, x, delta);
  return step;
}

template <class T>
Step<T> tangent_bias_gradient_step(const Builder<T>& builder, const DenseShape& shape,
                                   ValueId delta) {
  Step<T> step{Zone::kBiasGradient, Zone::kBackward, builder.node(), {delta}, {}};
  step.parameters_written = {shape.bias};
  step.make = [=](const Step<T>& made, const Places<T>& places) {
    return std::make_unique<TangentBiasGradient<T>>(made, places, shape, delta);
  };
  return step;
}

template <class T>
void cover_tangent_products(Builder<T>& builder, const DenseShape& shape) {
  const int64_t rows = base::checked_product(builder.options().capacity, rows_a_sample(builder),
                                             "rows of values with derivatives");
  const int most = ops::bf16_products(builder.options().precision, rows, shape.units, shape.inputs);
  for (const int products : {0, most}) {
    const auto cover = [&](int64_t m, int64_t n, int64_t k) {
      builder.cover(ops::gemm_scratch_size<T>(m, n, k, products));
    };
    cover(rows, shape.units, shape.inputs);
    cover(rows, shape.inputs, shape.units);
    cover(shape.as_it_is ? shape.units : shape.inputs, shape.as_it_is ? shape.inputs : shape.units,
          rows);
  }
}

template <class T>
ValueId activate_with_tangents(Builder<T>& builder, const ActivationUse<T>& use, ValueId z,
                               int64_t cols, int64_t bias) {
  const bool activates = use.kernel != nullptr;
  if (!activates && bias < 0) return z;
  const ValueId output = activates ? value_with_tangents(builder, cols) : z;
  const int64_t directions = builder.options().directions;
  std::vector<ValueId> writes{output};
  if (activates && bias >= 0) writes = {z, output};
  Step<T> step =
      row_step<T>(Zone::kActivationForward, Zone::kForward, builder.node(), {z}, writes, 2,
                  [=](const Batch<T>& batch, const auto& in, const auto& out) {
                    if (bias >= 0) {
                      const T* const more = batch.parameters + bias;
                      for (int64_t j = 0; j < cols; ++j) out[0][j] += more[j];
                    }
                    if (!activates) return;
                    T* const to = bias >= 0 ? out[1] : out[0];
                    use.kernel->tangents(cols, directions, in[0], to, use.parameters.data());
                  });
  if (bias >= 0) step.parameters_read = {bias};
  builder.add(std::move(step));
  return output;
}

template <class T>
void activate_backward_with_tangents(Builder<T>& builder, const ActivationUse<T>& use, ValueId z,
                                     ValueId output, ValueId gradient, int64_t cols) {
  if (use.kernel == nullptr) return;
  const int64_t directions = builder.options().directions;
  const bool from_output = use.kernel->from_output;
  builder.add(row_step<T>(Zone::kActivationBackward, Zone::kBackward, builder.node(),
                          {z, output, gradient}, {gradient}, 4,
                          [=](const Batch<T>&, const auto& in, const auto& out) {
                            use.kernel->curve(cols, directions, in[from_output ? 1 : 0], in[0],
                                              out[0], use.parameters.data());
                          }));
}

#define GD_INSTANTIATE(T)                                                                         \
  template ValueId value_with_tangents(Builder<T>&, int64_t);                                     \
  template ValueId input_with_tangents(Builder<T>&, size_t);                                      \
  template Step<T> tangent_forward_step(const Builder<T>&, const DenseShape&, ValueId, ValueId);  \
  template Step<T> tangent_input_gradient_step(const Builder<T>&, const DenseShape&, ValueId,     \
                                               ValueId);                                          \
  template Step<T> tangent_weight_gradient_step(const Builder<T>&, const DenseShape&, ValueId,    \
                                                ValueId);                                         \
  template Step<T> tangent_bias_gradient_step(const Builder<T>&, const DenseShape&, ValueId);     \
  template void cover_tangent_products(Builder<T>&, const DenseShape&);                           \
  template ValueId activate_with_tangents(Builder<T>&, const ActivationUse<T>&, ValueId, int64_t, \
                                          int64_t);                                               \
  template void activate_backward_with_tangents(Builder<T>&, const ActivationUse<T>&, ValueId,    \
                                                ValueId, ValueId, int64_t);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::plan

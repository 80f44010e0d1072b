#include "plan/dense_operations.hpp"

#include "plan/cost_model.hpp"

namespace gd::plan {

namespace {

using base::MatrixView;
using ops::Worker;

// The product of a layer over a batch: rows x inputs times inputs x units, in any of its three
// roles.
template <class T>
Cost product_cost(const nn::LayerView& shape) {
  Cost cost;
  cost.flops_a_row = 2 * shape.inputs * shape.units;
  cost.bytes_a_row = (shape.inputs + shape.units) * static_cast<int64_t>(sizeof(T));
  cost.bytes_fixed = shape.inputs * shape.units * static_cast<int64_t>(sizeof(T));
  return cost;
}

// A pass over (rows, units) that reads `reads` and writes `writes` matrices of that shape.
template <class T>
Cost pass_cost(const nn::LayerView& shape, int flops, int reads, int writes) {
  Cost cost;
  cost.flops_a_row = flops * shape.units;
  cost.bytes_a_row = (reads + writes) * shape.units * static_cast<int64_t>(sizeof(T));
  return cost;
}

template <class T>
Cost forward_cost(const nn::LayerView& shape) {
  Cost cost = product_cost<T>(shape);
  if (shape.bias >= 0) cost.flops_a_row += shape.units;
  return cost;
}

template <class T>
const T* input_of(const DenseContext<T>& context, const Batch<T>& batch) {
  const LayerBuffers<T>& buffers = context.buffers;
  return buffers.input == nullptr ? batch.x
                                  : buffers.input + batch.first_row * buffers.input_stride;
}

template <class T>
T* delta_of(const DenseContext<T>& context, const Batch<T>& batch) {
  return context.buffers.delta + batch.first_row * context.buffers.delta_row;
}

template <class T>
int64_t input_stride(const DenseContext<T>& context, const Batch<T>& batch) {
  return context.buffers.input == nullptr ? batch.x_stride : context.buffers.input_stride;
}

template <class T>
ops::GemmTiles tiles_of(const ops::GemmProblem<T>& problem, int workers) {
  if (workers == 1) return {};
  const bool packs_b = problem.b_layout != ops::Layout::panels || problem.products > 0;
  return ops::gemm_tiles<T>(problem.m, problem.n, problem.k, workers, packs_b, problem.products);
}

template <class T>
const T* saved_of(const DenseContext<T>& context, const ActivationUse<T>& activation) {
  return activation.kernel->from_output ? context.buffers.output : context.buffers.z;
}

}  // namespace

template <class T>
bool Product<T>::meets(const Batch<T>& batch, int workers) const {
  return tiles_of(problem(batch), workers).share_b;
}

template <class T>
void Product<T>::work(Worker& worker, const Batch<T>& batch) {
  multiply(worker, problem(batch));
}

template <class T>
void Product<T>::multiply(Worker& worker, const ops::GemmProblem<T>& problem) {
  ops::gemm(worker, this->queue(), tiles_of(problem, worker.count()), problem, context_.scratch);
}

// ---- forward ----

template <class T>
DenseForward<T>::DenseForward(const DenseContext<T>& context, const ActivationUse<T>& activation)
    : Product<T>(Zone::kDenseForward, Zone::kForward, context, forward_cost<T>(context.shape)),
      activation_(activation) {}

template <class T>
ops::GemmProblem<T> DenseForward<T>::problem(const Batch<T>& batch) const {
  const DenseContext<T>& context = this->context();
  const nn::LayerView& shape = context.shape;
  const LayerBuffers<T>& buffers = context.buffers;
  ops::GemmProblem<T> p;
  p.m = batch.rows;
  p.n = shape.units;
  p.k = shape.inputs;
  p.products = context.products(batch.rows_together);
  p.a = input_of(context, batch);
  p.a_row = input_stride(context, batch);
  // (inputs, units), or transposed; of one unit both lie alike.
  p.b = batch.parameters + shape.weight;
  p.b_layout =
      shape.lies_as_it_is && shape.units > 1 ? ops::Layout::panels_transposed : ops::Layout::panels;
  const int64_t begin = batch.first_row * buffers.stride;
  p.c = buffers.z + begin;
  p.c_row = buffers.stride;
  if (shape.bias >= 0) p.bias = batch.parameters + shape.bias;
  if (activation_.kernel != nullptr && !activation_.kernel->row_wise) {
    p.epilogue.kind = ops::Epilogue<T>::Kind::forward;
    p.epilogue.activation = activation_.kernel;
    p.epilogue.parameters = activation_.parameters.data();
    p.epilogue.output = buffers.output + begin;
    p.epilogue.stride = buffers.stride;
  }
  return p;
}

template <class T>
ActivationForward<T>::ActivationForward(const DenseContext<T>& context,
                                        const ActivationUse<T>& activation)
    : Operation<T>(Zone::kActivationForward, Zone::kForward, context.layer, context.max_workers,
                   pass_cost<T>(context.shape, 1, 1, 1)),
      context_(context),
      activation_(activation) {}

template <class T>
void ActivationForward<T>::work(Worker& worker, const Batch<T>& batch) {
  const int64_t units = context_.shape.units;
  const int64_t stride = context_.buffers.stride;
  const int64_t begin = batch.first_row * stride;
  ops::activation_forward<T>(worker, this->queue(), *activation_.kernel,
                             activation_.parameters.data(),
                             {context_.buffers.z + begin, batch.rows, units, stride},
                             {context_.buffers.output + begin, batch.rows, units, stride});
}

// ---- backward ----

template <class T>
ActivationBackward<T>::ActivationBackward(const DenseContext<T>& context,
                                          const ActivationUse<T>& activation)
    : Operation<T>(Zone::kActivationBackward, Zone::kBackward, context.layer, context.max_workers,
                   pass_cost<T>(context.shape, 1, 2, 1)),
      context_(context),
      activation_(activation) {}

template <class T>
void ActivationBackward<T>::work(Worker& worker, const Batch<T>& batch) {
  const int64_t units = context_.shape.units;
  const int64_t stride = context_.buffers.stride;
  const int64_t begin = batch.first_row * stride;
  ops::activation_backward<T>(worker, this->queue(), *activation_.kernel,
                              activation_.parameters.data(),
                              {saved_of(context_, activation_) + begin, batch.rows, units, stride},
                              {delta_of(context_, batch), batch.rows, units, stride});
}

template <class T>
WeightGradient<T>::WeightGradient(const DenseContext<T>& context)
    : Product<T>(Zone::kWeightGradient, Zone::kBackward, context, product_cost<T>(context.shape)) {}

template <class T>
ops::GemmProblem<T> WeightGradient<T>::problem(const Batch<T>& batch) const {
  const DenseContext<T>& context = this->context();
  const nn::LayerView& shape = context.shape;
  // (rows, inputs) and (rows, units): the one is A's transpose, the other B.
  const T* const input = input_of(context, batch);
  const int64_t input_row = input_stride(context, batch);
  const T* const delta = delta_of(context, batch);
  const int64_t delta_row = context.buffers.stride;
  ops::GemmProblem<T> p;
  p.m = shape.lies_as_it_is ? shape.units : shape.inputs;
  p.n = shape.lies_as_it_is ? shape.inputs : shape.units;
  p.k = batch.rows;
  p.products = context.products(batch.rows_together);
  p.a = shape.lies_as_it_is ? delta : input;
  p.a_row = 1;
  p.a_col = shape.lies_as_it_is ? delta_row : input_row;
  p.b = shape.lies_as_it_is ? input : delta;
  p.b_row = shape.lies_as_it_is ? input_row : delta_row;
  p.c = batch.gradients + shape.weight;
  p.c_layout = ops::Layout::panels;
  p.part = batch.part;
  p.accumulate = batch.accumulate;
  return p;
}

template <class T>
void WeightGradient<T>::work(Worker& worker, const Batch<T>& batch) {
  ops::GemmProblem<T> p = problem(batch);
  const auto update = [&](int64_t begin, std::span<const T> gradients) {
    const profiling::InnerTime time(worker.lane());
    batch.rule->update_piece(*batch.update, this->context().shape.weight + begin, gradients);
  };
  const base::FunctionRef<void(int64_t, std::span<const T>)> consume = update;
  if (batch.rule != nullptr) p.consume = &consume;
  this->multiply(worker, p);
}

template <class T>
BiasGradient<T>::BiasGradient(const DenseContext<T>& context)
    : Operation<T>(Zone::kBiasGradient, Zone::kBackward, context.layer, context.max_workers,
                   pass_cost<T>(context.shape, 1, 1, 0)),
      context_(context) {}

template <class T>
void BiasGradient<T>::work(Worker& worker, const Batch<T>& batch) {
  const int64_t stride = context_.buffers.stride;
  const nn::LayerView& shape = context_.shape;
  T* const to = batch.gradients + shape.bias;
  ops::column_sum<T>(worker, this->queue(),
                     {delta_of(context_, batch), batch.rows, shape.units, stride}, batch.part,
                     batch.accumulate, to, [&](int64_t begin, int64_t size) {
                       if (batch.rule == nullptr) return;
                       const std::span<const T> gradients(to + begin, static_cast<size_t>(size));
                       batch.rule->update_piece(*batch.update, shape.bias + begin, gradients);
                     });
}

template <class T>
InputGradient<T>::InputGradient(const DenseContext<T>& context, const ActivationUse<T>& before,
                                const T* saved)
    : Product<T>(Zone::kInputGradient, Zone::kBackward, context, product_cost<T>(context.shape)),
      before_(before),
      saved_(saved) {}

template <class T>
ops::GemmProblem<T> InputGradient<T>::problem(const Batch<T>& batch) const {
  const DenseContext<T>& context = this->context();
  const nn::LayerView& shape = context.shape;
  T* const to = context.buffers.input_delta;
  ops::GemmProblem<T> p;
  p.m = batch.rows;
  p.n = shape.inputs;
  p.k = shape.units;
  p.products = context.products(batch.rows_together);
  const int64_t to_stride = context.buffers.input_stride;
  p.a = delta_of(context, batch);
  p.a_row = context.buffers.stride;
  p.b = batch.parameters + shape.weight;  // (units, inputs), or transposed
  p.b_layout = shape.lies_as_it_is ? ops::Layout::panels : ops::Layout::panels_transposed;
  p.c = to == nullptr ? batch.input_gradient : to + batch.first_row * context.buffers.delta_row;
  p.c_row = to == nullptr ? shape.inputs : to_stride;
  p.part = kSumPart;
  if (before_.kernel != nullptr && !before_.kernel->row_wise) {
    p.epilogue.kind = ops::Epilogue<T>::Kind::backward;
    p.epilogue.activation = before_.kernel;
    p.epilogue.parameters = before_.parameters.data();
    p.epilogue.saved = saved_ + batch.first_row * to_stride;
    p.epilogue.stride = to_stride;
  }
  return p;
}

#define GD_INSTANTIATE(T)               \
  template class DenseForward<T>;       \
  template class ActivationForward<T>;  \
  template class ActivationBackward<T>; \
  template class WeightGradient<T>;     \
  template class BiasGradient<T>;       \
  template class InputGradient<T>;
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::plan

// What a trainer tells of its steps before it makes any.

#include <algorithm>

#include "base/check.hpp"
#include "layers/registry.hpp"
#include "train/trainer.hpp"

namespace gd::train {

using base::require;
using base::ValueError;
using Lock = std::lock_guard<parallel::ForkSafeMutex>;

namespace {

// Nothing told about a batch may overflow, nor may sums of it.
void check_countable(double amount, int64_t batch_size) {
  require<ValueError>(amount < 0x1p62, "batch_size must be smaller: what ", batch_size,
                      " samples take is beyond 2^62");
}

double at(int64_t a_row, int64_t fixed, int64_t rows) {
  return static_cast<double>(a_row) * static_cast<double>(rows) + static_cast<double>(fixed);
}

}  // namespace

template <class T>
MemoryPlan Trainer<T>::memory(int64_t batch_size, bool shuffle) {
  const Lock lock(model_->mutex());
  const auto flat = model_->description().flat_size() * static_cast<int64_t>(sizeof(T));
  MemoryPlan result;
  result.parameters = flat;
  result.gradients = flat;
  const optim::RuleMemory own = rule_->memory(spans_, threads());
  result.states = flat * states() + own.statistics * static_cast<int64_t>(sizeof(T)) +
                  solver_bytes() + (sam_ == nullptr ? 0 : sam_->bytes());
  if (has_loss()) {
    result.snapshot =
        result.parameters + flat * states() + own.statistics * static_cast<int64_t>(sizeof(T));
    result.plan = plan::Plan<T>::memory(model_->network(),
                                        training_options(planned_rows(batch_size), shuffle));
    result.gradients += result.plan.gradients;  // of the parts that workers take
    if (slices_) result.gradients += slices_->bytes();
    result.parameters += result.plan.replicas;
  } else {  // forward and backward keep whole batches, and their input
    // No less than what a row takes, in bytes kept for it and in operations.
    int64_t columns = model_->description().input_size();
    for (const auto& layer : model_->description().graph().nodes) columns += 16 + 4 * layer.width;
    const int64_t a_row = columns * int64_t{sizeof(T)} + 8 * model_->description().flat_size();
    check_countable(at(a_row, 0, batch_size), batch_size);
    plan::PlanOptions<T> options;
    options.lowerings = layers::lowering<T>;
    options.kind = plan::PlanKind::differentiable;
    options.capacity = batch_size;
    options.max_workers = threads();
    result.plan = plan::Plan<T>::memory(model_->network(), options);
    result.plan.batch = batch_size * model_->description().input_size() * int64_t{sizeof(T)};
  }
  result.plan.packing += own.scratch * static_cast<int64_t>(sizeof(T));
  return result;
}

template <class T>
std::vector<OperationInfo> Trainer<T>::operations(int64_t batch_size) {
  const Lock lock(model_->mutex());
  const nn::Graph& graph = model_->description().graph();
  std::vector<OperationInfo> result;
  double flops = 0;
  double bytes = 0;
  for (const auto& operation : training_plan(batch_size, training_gathers_).operations()) {
    const int node = operation->node();
    const plan::Cost& cost = operation->cost();
    flops += at(cost.flops_a_row, cost.flops_fixed, batch_size);
    bytes += at(cost.bytes_a_row, cost.bytes_fixed, batch_size);
    check_countable(std::max(flops, bytes), batch_size);
    result.push_back({operation->zone(), operation->phase(),
                      node < 0 ? std::string() : graph.layer(node).spec.name,
                      cost.flops(batch_size), cost.bytes(batch_size)});
  }
  if (sam_ != nullptr) {  // makes all of them twice
    const std::vector<OperationInfo> once = result;
    result.insert(result.end(), once.begin(), once.end());
  }
  return result;
}

template <class T>
int Trainer<T>::workers(int64_t batch_size) {
  const Lock lock(model_->mutex());
  return training_plan(batch_size, training_gathers_).workers(planned_rows(batch_size));
}

#define GD_INSTANTIATE(T)                                              \
  template MemoryPlan Trainer<T>::memory(int64_t, bool);               \
  template std::vector<OperationInfo> Trainer<T>::operations(int64_t); \
  template int Trainer<T>::workers(int64_t);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::train

#pragma once

// Networks with data to train on, and plans for them.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cpp/nn/support.hpp"
#include "cpp/ops/support.hpp"
#include "optim/elementwise_rule.hpp"
#include "plan/plan.hpp"

namespace gd::testing {

// Rows of everything a batch may hold.
template <class T>
struct Samples {
  Samples(int64_t rows_, int64_t inputs_, int64_t outputs_, uint64_t seed)
      : rows(rows_),
        inputs(inputs_),
        outputs(outputs_),
        x(normals<T>(rows * inputs, seed)),
        target(uniforms<T>(rows * outputs, seed + 1)),
        labels(labels_below(outputs, rows, seed + 2)),
        weights(uniforms<T>(rows, seed + 3, 0.5, 2.0)) {}

  // The first `count` rows, with labels or targets, weighted or not.
  plan::Batch<T> batch(int64_t count, bool by_label, bool weighted = false) const {
    plan::Batch<T> result;
    result.rows = count;
    result.x = x.data();
    result.x_stride = inputs;
    if (by_label) {
      result.labels = labels.data();
    } else {
      result.target = target.data();
      result.target_stride = outputs;
    }
    result.weight_sum = static_cast<double>(count);
    if (weighted) {
      result.weights = weights.data();
      result.weight_sum = 0;
      for (int64_t i = 0; i < count; ++i) result.weight_sum += weights[static_cast<size_t>(i)];
    }
    return result;
  }

  int64_t rows, inputs, outputs;
  std::vector<T> x, target;
  std::vector<int64_t> labels;
  std::vector<T> weights;
};

// A loss with typical parameters, by name.
inline plan::LossDescription loss_named(const std::string& name) {
  static const std::map<std::string, double> typical = {
      {"delta", 0.4}, {"label_smoothing", 0.1}, {"ignore_index", -100},
      {"beta", 0.6},  {"gamma", 1.5},           {"alpha", 0.4},
      {"eps", 1e-8},  {"log_input", 1},         {"log_var", 1}};
  plan::LossDescription loss{name, {}, {}};
  for (const ops::FormulaInfo& known : ops::loss_formulas()) {
    if (known.name != name) continue;
    for (const std::string& each : ops::split_names(ops::find_loss<double>(name).parameters)) {
      const auto found = typical.find(each);
      loss.parameters.push_back(found == typical.end() ? 0 : found->second);
    }
  }
  return loss;
}

template <class T>
plan::PlanOptions<T> options_of(plan::PlanKind kind, int64_t capacity, const std::string& loss = "",
                                int max_workers = 1) {
  plan::PlanOptions<T> options;
  options.lowerings = layers::lowering<T>;
  options.kind = kind;
  options.capacity = capacity;
  options.max_workers = max_workers;
  if (!loss.empty()) options.loss = loss_named(loss);
  return options;
}

template <class T>
std::vector<optim::ParameterSpan> spans_of(const nn::Network<T>& network) {
  std::vector<optim::ParameterSpan> spans;
  for (const nn::Parameter& each : network.parameters()) {
    const bool transposed = each.lies == nn::Lies::transposed_panels;
    spans.push_back(
        {each.offset, transposed ? each.cols : each.rows, transposed ? each.rows : each.cols,
         each.is_matrix() ? optim::SpanKind::weight : optim::SpanKind::bias, 0,
         each.in_panels() ? ops::Layout::panels : ops::Layout::strided, transposed, each.count});
  }
  return spans;
}

template <class T = float>
std::unique_ptr<optim::Rule<T>> adam() {
  return std::make_unique<optim::ElementwiseRule<T>>(
      "adam", std::vector<double>{0.01, 0.9, 0.999, 1e-8, 0.01, 0});
}

// A network with a training plan and the states of its rule.
template <class T>
class Training {
 public:
  Training(const std::vector<DenseSpec>& layers, int64_t inputs, const std::string& loss,
           int64_t capacity, int max_workers, bool gathers = false, double clip_norm = 0)
      : Training(network_of<T>(layers, inputs, 7), loss, capacity, max_workers, gathers,
                 clip_norm) {}
  Training(nn::Network<T> network, const std::string& loss, int64_t capacity, int max_workers,
           bool gathers = false, double clip_norm = 0,
           std::unique_ptr<optim::Rule<T>> rule = adam<T>(),
           const std::vector<double>& derivative_weights = {})
      : network_(std::move(network)), rule_(std::move(rule)), spans_(spans_of(network_)) {
    for (int i = 0; i < rule_->states(); ++i) states_.push_back(network_.make_flat());
    rule_->prepare(spans_, max_workers);
    for (auto& state : states_) pointers_.push_back(state.data());
    plan::PlanOptions<T> options =
        options_of<T>(plan::PlanKind::training, capacity, loss, max_workers);
    options.gathers = gathers;
    options.clip_norm = clip_norm;
    options.derivative_weights = derivative_weights;
    if (!derivative_weights.empty()) options.lowerings = layers::tangent_lowering<T>;
    options.rule = rule_.get();
    options.update.spans = spans_;
    options.update.extents = network_.extents();
    options.update.weights = network_.values();
    options.update.gradients = network_.gradients();
    options.update.states = pointers_.data();
    plan_ = std::make_unique<plan::Plan<T>>(network_, options);
  }

  double step(const plan::Batch<T>& batch) {
    rule_->begin_step(0.01, ++steps_);
    return plan_->step(batch);
  }
  double step(const plan::Batch<T>& batch, std::span<const int64_t> indices) {
    rule_->begin_step(0.01, ++steps_);
    return plan_->step(batch, indices);
  }

  nn::Network<T>& network() { return network_; }
  const plan::Plan<T>& plan() const { return *plan_; }
  std::vector<T> values() {
    return std::vector<T>(network_.values(), network_.values() + network_.flat_size());
  }

 private:
  nn::Network<T> network_;
  std::unique_ptr<optim::Rule<T>> rule_;
  std::vector<optim::ParameterSpan> spans_;
  std::vector<base::AlignedBuffer<T>> states_;
  std::vector<T*> pointers_;
  std::unique_ptr<plan::Plan<T>> plan_;
  int64_t steps_ = 0;
};

}  // namespace gd::testing

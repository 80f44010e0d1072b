#pragma once

// Where layers say what they do: values, and the steps that read and write them.

#include <map>
#include <string>
#include <vector>

#include "base/function_ref.hpp"
#include "nn/network.hpp"
#include "plan/step.hpp"

namespace gd::plan {

enum class PlanKind : uint8_t {
  inference,       // forward
  evaluation,      // forward, loss
  differentiable,  // forward that keeps what backward needs; backward to the input
  derivative,      // the same of what inference computes, and without parameters
  gradient,        // forward, loss, backward
  training,        // forward, loss, backward, update
};

inline bool differentiates(PlanKind kind) {
  return kind != PlanKind::inference && kind != PlanKind::evaluation;
}
inline bool has_loss(PlanKind kind) {
  return kind == PlanKind::evaluation || kind == PlanKind::gradient || kind == PlanKind::training;
}

// What a plan is built for.
struct BuildOptions {
  PlanKind kind = PlanKind::inference;
  int64_t capacity = 1;
  int max_workers = 1;
  ops::Precision precision = ops::Precision::highest;
  std::string loss;      // its name, empty: none, or those of the heads
  ops::Extents trained;  // of the parameters, those that train; empty: all
  std::vector<std::string> head_losses{};
  int64_t elements = 0;  // see PlanOptions
  int64_t elements_a_row = 0;
  bool slices = false;     // whether batches may come as several slices, see slicing.hpp
  int64_t directions = 0;  // of derivatives beside values, see operations/tangents.hpp
};

template <class T>
class Builder;

// How a kind of layer becomes steps.
template <class T>
struct Lowering {
  const char* kind;
  void (*forward)(Builder<T>& builder);
  void (*backward)(Builder<T>& builder);
};

// By the name of the kind; null where there is none.
template <class T>
using FindLowering = const Lowering<T>* (*)(const std::string& kind);

template <class T>
class Builder {
 public:
  Builder(const nn::Network<T>& network, const BuildOptions& options, FindLowering<T> find);

  // All layers, and what comes between: `loss(output, gradient at it or kNoValue)` adds its step.
  template <class AddLoss>
  void build(AddLoss&& loss) {
    forward();
    const ValueId gradient = differentiates() ? gradient_of(final_) : kNoValue;
    if (has_loss()) loss(final_, gradient);
    if (differentiates()) backward();
  }

  // ---- of the layer at hand ----

  int node() const { return node_; }
  const nn::LayerSpec& spec() const { return network_.graph().layer(node_).spec; }
  int64_t width() const { return network_.graph().width(node_); }
  size_t inputs() const { return spec().inputs.size(); }
  // What it reads, and its width.
  ValueId input(size_t i = 0) const;
  int64_t input_width(size_t i = 0) const;
  // Whether what it reads is an input of sparse rows, and which one.
  bool reads_sparse_rows() const;
  int sparse_input() const { return spec().inputs.front(); }
  // By its name within the layer; null where there is none.
  const nn::Parameter* parameter(const std::string& name) const {
    return network_.parameter(node_, name);
  }
  const nn::Parameter& kept_entry(const std::string& name) const {
    return *network_.kept(node_, name);
  }
  // Whether the parameter there trains: the gradient at one that does not is not wanted.
  bool trains(int64_t offset) const;
  void set_output(ValueId value) {
    outputs_[static_cast<size_t>(node_)] = value;
    if (members() > 1) set_exact(value);
  }
  // Of an ensemble, whose values lie side by side in the layer's output, and in its input.
  int64_t members() const { return network_.graph().members(node_); }
  int64_t input_members(size_t i = 0) const {
    return network_.graph().members(spec().inputs.at(i));
  }
  ValueId output() const { return outputs_[static_cast<size_t>(node_)]; }
  // The name of the loss that takes what the layer makes, where nothing else reads it; else empty.
  const std::string& loss_of_output() const;

  // What forward leaves for backward, by a name of the layer's own.
  void keep(const std::string& name, ValueId value) { kept_[{node_, name}] = value; }
  ValueId kept(const std::string& name) const { return kept_.at({node_, name}); }

  // ---- values ----

  // A new one for all samples together, (rows, cols).
  ValueId vectors(int64_t rows, int64_t cols);
  // A new one, which may take the place of `over`.
  ValueId value(int64_t cols, ValueId over = kNoValue);
  int64_t cols(ValueId value) const { return values_[static_cast<size_t>(value)].cols; }
  // Its rows follow each other without a gap, so that a part of the columns is a row as well.
  ValueId set_exact(ValueId value) {
    values_[static_cast<size_t>(value)].exact = true;
    return value;
  }

  // ---- gradients ----

  // At a value, as all who read it have made it.
  ValueId gradient_of(ValueId value);
  // Whether anybody wants the gradient at what the layer reads.
  bool wants_gradient(size_t i = 0) const;
  // Adds what this layer gives to the gradient at its input: `write(to)` adds steps that write
  // `to`, which then is that gradient or is added to it.
  void give_gradient(size_t i, base::FunctionRef<void(ValueId)> write) {
    const ValueId input = this->input(i);
    if (gradients_.contains(input)) {
      const ValueId beside = new_gradient(input);
      write(beside);
      add_to(gradients_.at(input), beside);
    } else {
      const ValueId gradient = new_gradient(input);
      write(gradient);
      gradients_[input] = gradient;
    }
  }
  // The same where what it gives is `gradient` as it is, which nobody reads any more but steps
  // there are already.
  void pass_gradient(size_t i, ValueId gradient);

  // ---- steps ----

  bool differentiates() const { return plan::differentiates(options_.kind); }
  bool has_loss() const { return plan::has_loss(options_.kind); }
  // Whether layers do what they do in training alone, such as drawing at random: where something is
  // learnt, and not where gradients are compared.
  bool is_training() const {
    return options_.kind == PlanKind::training || options_.kind == PlanKind::differentiable;
  }
  const BuildOptions& options() const { return options_; }
  void add(Step<T> step);
  // Products of that size are made: there must be room for what they pack.
  void cover(const ops::GemmScratchSize& size) { scratch_.cover(size); }
  // An activation over z; returns its output, z itself for the identity.
  ValueId activate(const ActivationUse<T>& use, ValueId z);
  // The gradient at z from that at `output`, which becomes it.
  void activate_backward(const ActivationUse<T>& use, ValueId z, ValueId output, ValueId gradient);

  const nn::Network<T>& network() const { return network_; }
  std::vector<Value>& values() { return values_; }
  std::vector<Step<T>>& steps() { return steps_; }
  const ops::GemmScratchSize& scratch() const { return scratch_; }
  ValueId final_output() const { return final_; }
  ValueId final_gradient() const { return gradients_.at(final_); }

 private:
  // Members whose rows an activation takes each by itself.
  int64_t rows_of(const ActivationUse<T>& use) const {
    return use.kernel->row_wise ? members() : 1;
  }
  void forward();
  void backward();
  const Lowering<T>& lowering() const;
  ValueId new_gradient(ValueId value);
  void add_to(ValueId sum, ValueId term);

  const nn::Network<T>& network_;
  BuildOptions options_;
  FindLowering<T> find_;
  int node_ = 0;
  bool is_backward_ = false;
  std::vector<Value> values_;
  std::vector<Step<T>> steps_;
  std::vector<ValueId> outputs_;  // of each node
  ValueId final_ = kNoValue;      // the network's output
  std::vector<char> trains_;      // whether the gradient at a node's output is wanted
  std::map<ValueId, ValueId> gradients_;
  std::map<std::pair<int, std::string>, ValueId> kept_;
  ops::GemmScratchSize scratch_;
};

// Whether the loss works on the logits of a softmax output layer: then plans with that loss leave
// the softmax out, and only inference applies it.
bool loss_takes_logits_of_softmax(const std::string& loss, const std::string& activation);

}  // namespace gd::plan

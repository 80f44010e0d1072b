#include "plan/builder.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::plan {

bool loss_takes_logits_of_softmax(const std::string& loss, const std::string& activation) {
  return loss == "cross_entropy" && activation == "softmax";
}

template <class T>
Builder<T>::Builder(const nn::Network<T>& network, const BuildOptions& options,
                    FindLowering<T> find)
    : network_(network), options_(options), find_(find) {
  const nn::Graph& graph = network_.graph();
  int64_t column = 0;
  for (const nn::InputSpec& input : graph.inputs) {
    outputs_.push_back(static_cast<ValueId>(values_.size()));
    values_.push_back({input.columns_of_x(), 0, Value::Pool::batch});
    values_.back().column = column;
    column += input.columns_of_x();
    // Only who differentiates from outside asks for the gradient at an input. Codes have none, and
    // that at sparse rows would be dense.
    const bool has_gradient = !input.holds_codes() && !input.sparse;
    const bool asked = differentiates() && !has_loss() && has_gradient;
    trains_.push_back(asked ? 1 : 0);
  }
  trains_.resize(trains_.size() + graph.nodes.size());
  outputs_.resize(trains_.size(), kNoValue);
  for (const nn::Parameter& parameter : network_.parameters()) {
    if (parameter.node == nn::kNoNode || !trains(parameter.offset)) continue;
    trains_[static_cast<size_t>(parameter.node)] = 1;
  }
  for (int node = graph.first_layer(); node <= graph.output; ++node) {
    const auto trains = [&](int input) { return trains_[static_cast<size_t>(input)] != 0; };
    if (std::ranges::any_of(graph.layer(node).spec.inputs, trains)) {
      trains_[static_cast<size_t>(node)] = 1;
    }
  }
}

template <class T>
bool Builder<T>::trains(int64_t offset) const {
  const auto has = [&](const parallel::Range& extent) {
    return extent.begin <= offset && offset < extent.end;
  };
  if (options_.kind == PlanKind::derivative) return false;
  return options_.trained.empty() || std::ranges::any_of(options_.trained, has);
}

template <class T>
const Lowering<T>& Builder<T>::lowering() const {
  const Lowering<T>* const found = find_(spec().kind);
  base::require<base::ValueError>(found != nullptr, "unknown kind of layer '", spec().kind, "'");
  return *found;
}

template <class T>
void Builder<T>::forward() {
  const nn::Graph& graph = network_.graph();
  for (node_ = graph.first_layer(); node_ <= graph.output; ++node_) lowering().forward(*this);
  node_ = graph.output;
  final_ = output();
  if (values_[static_cast<size_t>(final_)].pool == Value::Pool::batch) {
    // No layer has done anything: the output is a copy of the input all the same.
    const ValueId input = final_;
    final_ = value(cols(input));
    add(copy_columns_step<T>(Zone::kForward, node_, {input, 0}, {final_, 0}, cols(input)));
  }
  values_[static_cast<size_t>(final_)].is_output = true;
}

template <class T>
void Builder<T>::backward() {
  is_backward_ = true;
  const nn::Graph& graph = network_.graph();
  node_ = graph.output;
  if (const ValueId own = output(); own != final_ && trains_[static_cast<size_t>(node_)] != 0) {
    gradients_[own] = new_gradient(own);
    add(copy_step<T>(node_, gradients_.at(final_), gradients_.at(own)));
  }
  for (node_ = graph.output; node_ >= graph.first_layer(); --node_) {
    if (trains_[static_cast<size_t>(node_)] != 0) lowering().backward(*this);
  }
}

template <class T>
ValueId Builder<T>::input(size_t i) const {
  return outputs_[static_cast<size_t>(spec().inputs.at(i))];
}

template <class T>
bool Builder<T>::reads_sparse_rows() const {
  const nn::Graph& graph = network_.graph();
  const int first = spec().inputs.front();
  return graph.is_input(first) && graph.inputs[static_cast<size_t>(first)].sparse;
}

template <class T>
int64_t Builder<T>::input_width(size_t i) const {
  return network_.graph().width(spec().inputs.at(i));
}

template <class T>
ValueId Builder<T>::value(int64_t cols, ValueId over) {
  const bool kept = differentiates() && !is_backward_;
  values_.push_back({cols, 0, kept ? Value::Pool::kept : Value::Pool::passing, over});
  return static_cast<ValueId>(values_.size() - 1);
}

template <class T>
ValueId Builder<T>::vectors(int64_t rows, int64_t cols) {
  values_.push_back({cols, rows, Value::Pool::kept});
  return static_cast<ValueId>(values_.size() - 1);
}

template <class T>
bool Builder<T>::wants_gradient(size_t i) const {
  return trains_[static_cast<size_t>(spec().inputs.at(i))] != 0;
}

template <class T>
ValueId Builder<T>::new_gradient(ValueId value) {
  // That at the network's input goes to the caller, unless more has to be added to it.
  const Value of = values_[static_cast<size_t>(value)];
  values_.push_back({of.cols, 0, Value::Pool::passing});
  values_.back().exact = of.exact;
  if (of.pool == Value::Pool::batch && !gradients_.contains(value)) {
    values_.back().pool = Value::Pool::batch;
    values_.back().is_input_gradient = true;
    values_.back().column = of.column;
  }
  return static_cast<ValueId>(values_.size() - 1);
}

template <class T>
ValueId Builder<T>::gradient_of(ValueId value) {
  const auto found = gradients_.find(value);
  if (found != gradients_.end()) return found->second;
  const ValueId gradient = new_gradient(value);
  values_.back().is_output_gradient = value == final_;
  return gradients_[value] = gradient;
}

template <class T>
const std::string& Builder<T>::loss_of_output() const {
  static const std::string none;
  const nn::Graph& graph = network_.graph();
  if (options_.head_losses.empty()) return node_ == graph.output ? options_.loss : none;
  int64_t readers = 0;
  for (const nn::Node& layer : graph.nodes) {
    readers += std::ranges::count(layer.spec.inputs, node_);
  }
  for (size_t h = 0; h < graph.heads.size(); ++h) {
    // The only reader of one of several puts them side by side.
    const bool alone = readers == (graph.heads.size() > 1 ? 1 : 0);
    if (graph.heads[h].node == node_ && alone) return options_.head_losses[h];
  }
  return none;
}

template <class T>
void Builder<T>::pass_gradient(size_t i, ValueId gradient) {
  const ValueId input = this->input(i);
  const auto found = gradients_.find(input);
  if (found != gradients_.end() && found->second == gradient)
    return;  // of a layer that does nothing
  const bool of_batch = values_[static_cast<size_t>(input)].pool == Value::Pool::batch;
  if (found == gradients_.end() && !of_batch) {
    gradients_[input] = gradient;
    return;
  }
  give_gradient(i, [&](ValueId to) { add(copy_step<T>(node_, gradient, to)); });
}

template <class T>
void Builder<T>::add_to(ValueId sum, ValueId term) {
  add(add_step<T>(node_, sum, term));
}

template <class T>
void Builder<T>::add(Step<T> step) {
  steps_.push_back(std::move(step));
}

template <class T>
ValueId Builder<T>::activate(const ActivationUse<T>& use, ValueId z) {
  const bool left_out =
      use.kernel == nullptr ||
      (has_loss() && loss_takes_logits_of_softmax(loss_of_output(), use.kernel->name));
  if (left_out) return z;
  const ValueId output = value(cols(z), z);
  add(activation_step<T>(node_,
                         {Pointwise<T>::Kind::activation, z, output, kNoValue, use, rows_of(use)}));
  return output;
}

template <class T>
void Builder<T>::activate_backward(const ActivationUse<T>& use, ValueId z, ValueId output,
                                   ValueId gradient) {
  if (output == z) return;  // the identity, or left out
  const ValueId saved = use.kernel->from_output ? output : z;
  add(activation_step<T>(
      node_, {Pointwise<T>::Kind::derivative, gradient, gradient, saved, use, rows_of(use)}));
}

template class Builder<float>;
template class Builder<double>;

}  // namespace gd::plan

// Training on the outputs' derivatives by the inputs beside the outputs.

#include "base/check.hpp"
#include "layers/registry.hpp"
#include "train/trainer.hpp"

namespace gd::train {

using base::require;
using base::ValueError;

template <class T>
void Trainer<T>::check_derivatives() const {
  const nn::Network<T>& network = model_->description();
  require<ValueError>(has_loss(), "dy needs a trainer with a loss of gdcore, got none");
  layers::check_tangents<T>(network.graph());
  require<ValueError>(solver_ == nullptr, "dy cannot be trained on by optimizer '", options_.rule,
                      "', which asks for losses of its own, but by any rule of gdcore.optimizers");
  const ops::LossTerms<T>& terms = loss_terms();
  require<ValueError>(
      terms.targets() != ops::Targets::categories && terms.columns() == network.output_size(),
      "dy goes with a loss that compares each output with a number, such as 'mse' or 'huber', got "
      "'",
      options_.loss.name, "'");
}

template <class T>
plan::Plan<T>& Trainer<T>::derivative_plan(int64_t rows, bool gathers,
                                           const std::vector<double>& weights) {
  rows = rows_at_once(rows);
  if (derivative_ == nullptr || derivative_->capacity() < rows ||
      (gathers && !derivative_->gathers()) || derivative_->max_workers() != threads() ||
      derivative_weights_ != weights) {
    plan::PlanOptions<T> options = training_options(rows, gathers);
    options.lowerings = layers::tangent_lowering<T>;
    options.derivative_weights = weights;
    prepare_rule(options.max_workers);
    derivative_ = std::make_unique<plan::Plan<T>>(model_->network(), options);
    derivative_weights_ = weights;
  }
  return *derivative_;
}

#define GD_INSTANTIATE(T)                              \
  template void Trainer<T>::check_derivatives() const; \
  template plan::Plan<T>& Trainer<T>::derivative_plan(int64_t, bool, const std::vector<double>&);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::train

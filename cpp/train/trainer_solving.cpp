// Epochs of a trainer whose optimizer is a solver: all samples at once, and losses at weights of
// its own choice.

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "layers/registry.hpp"
#include "train/batch_of.hpp"
#include "train/elements.hpp"
#include "train/trainer.hpp"

namespace gd::train {

using base::require;
using base::StateError;
using base::ValueError;
using profiling::Region;
using profiling::RegionKind;
using profiling::Zone;
using Lock = std::lock_guard<parallel::ForkSafeMutex>;

template <class T>
void Trainer<T>::check_solver(const std::string& name) const {
  const nn::Graph& graph = model_->description().graph();
  require<ValueError>(has_loss(), "optimizer '", name,
                      "' needs a compiled loss, which it can ask at other weights, got none");
  require<ValueError>(options_.clip_norm == 0, "clip_grad_norm must be None with optimizer '", name,
                      "', whose steps do not follow the gradient, got ", options_.clip_norm);
  require<ValueError>(options_.clip == plan::ClipBy::none, "clip must be None with optimizer '",
                      name, "', whose steps do not follow the gradient");
  require<ValueError>(options_.wrappers.empty(), "optimizer '", name,
                      "' takes neither an average of the weights nor Lookahead, Penalized or SAM "
                      "around it");
  for (const nn::Node& node : graph.nodes) {
    const bool draws = node.spec.kind == "dropout" && node.spec.get<double>("rate") > 0;
    require<ValueError>(!draws && node.together == 1, "optimizer '", name,
                        "' needs the same loss each time it asks for it, and layer '",
                        node.spec.name, "' of kind '", node.spec.kind,
                        draws ? "' draws at random" : "' keeps averages of what it has seen");
  }
  require<ValueError>(model_->description().sparse().empty() && !graph.has_sparse_inputs(),
                      "optimizer '", name, "' takes no sparse inputs and no sparse tables");
  // States and, in an epoch, a copy of them.
  const nn::Network<T>& network = model_->description();
  optim::check_fits(
      2.0 * static_cast<double>(rule_->states()) * static_cast<double>(network.flat_size()) *
          sizeof(T),
      base::message("what '", name, "' keeps of ", network.num_parameters(), " parameters"),
      "give a smaller history_size");
  solver_bytes();
  if (!solver_->needs_squares()) return;
  require<ValueError>(options_.loss.name == "mse", "optimizer '", name,
                      "' needs a loss that is a sum of squares, 'mse' of one output without a "
                      "name, got ",
                      heads_ ? "several" : "'" + options_.loss.name + "'");
  require<ValueError>(model_->description().members() == 1, "optimizer '", name,
                      "' takes no ensemble of several members, got ",
                      model_->description().members());
}

template <class T>
int64_t Trainer<T>::solver_bytes() const {
  if (solver_ == nullptr) return 0;
  const nn::Network<T>& network = model_->description();
  return solver_->work_bytes(ops::elements_of(extents_), network.flat_size());
}

template <class T>
double Trainer<T>::solve_epoch(const Dataset& data, int64_t batch_size, Progress progress) {
  require<ValueError>(batch_size >= data.size(), "batch_size must be None with optimizer '",
                      options_.rule, "', which takes all ", data.size(), " samples at once, got ",
                      batch_size);
  const double lr = this->lr();
  double loss = 0;
  {
    const Region region(RegionKind::step, Zone::kCaller, work(data.size()));
    take_snapshot();
    const Lock lock(model_->mutex());
    const ops::KernelScope scope;
    nn::Network<T>& network = model_->network();
    // What the last epoch ended with is where this one begins.
    if (!known_to_be_right() || solved_ != data.x.data || heads_) solver_->forget();
    network.set_gradients_valid(false);
    const double weights = weigh(data);
    const plan::Batch<T> batch = this->batch(data, weights);
    std::optional<HeadSums> first;  // of the heads, at the weights that the epoch begins with
    const auto evaluate = [&] {
      plan::Plan<T>& plan = training_plan(data.size(), false);
      const double found = plan.step(batch);
      ++evaluations_.gradients;
      if (heads_ && !first) heads_->add(first.emplace(heads_->size()), plan.head_sums());
      return found;
    };
    const auto evaluate_loss = [&] {
      ++evaluations_.losses;
      network.note_change();
      return evaluation_plan(std::min(data.size(), kDefaultBatch)).add_losses(batch, 0) / weights;
    };
    if (solver_->needs_squares()) {
      if (!residuals_) residuals_ = std::make_unique<Residuals<T>>(network);
      residuals_->take(data, weights, extents_, threads());
    }
    optim::Problem<T> problem{spans_,        update_.weights, state_pointers_.data(),
                              threads(),     evaluate,        update_.gradients,
                              evaluate_loss, residuals_.get()};
    const auto outcome = solver_->iterate(problem, lr);
    if (residuals_) evaluations_.jacobians = residuals_->jacobians();
    network.note_change();
    loss = outcome.loss;
    steps_ += outcome.iterations;
    solved_ = nullptr;  // unless all is right
    if (!std::isfinite(loss)) diverged(loss, lr);
    check_end(data, data.size(), lr, true);
    converged_ = outcome.ending;
    solved_ = data.x.data;
    head_losses_.clear();
    for (size_t h = 0; first && h < heads_->size(); ++h) head_losses_.push_back(first->mean(h));
    ++epochs_;
  }
  progress(data.size(), loss);
  return loss;
}

template <class T>
typename Trainer<T>::Evaluations Trainer<T>::evaluations() const {
  const Lock lock(model_->mutex());
  return evaluations_;
}

#define GD_INSTANTIATE(T)                                                    \
  template typename Trainer<T>::Evaluations Trainer<T>::evaluations() const; \
  template void Trainer<T>::check_solver(const std::string&) const;          \
  template int64_t Trainer<T>::solver_bytes() const;                         \
  template double Trainer<T>::solve_epoch(const Dataset&, int64_t, Progress);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::train

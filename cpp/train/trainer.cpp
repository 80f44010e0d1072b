#include "train/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.hpp"
#include "data/sampler.hpp"
#include "layers/registry.hpp"
#include "parallel/cpus.hpp"
#include "plan/cost_model.hpp"
#include "profiling/recorder.hpp"
#include "train/accuracy.hpp"
#include "train/batch_of.hpp"
#include "train/elements.hpp"

namespace gd::train {

using base::require;
using base::StateError;
using base::ValueError;
using profiling::Region;
using profiling::RegionKind;
using profiling::Zone;
using Lock = std::lock_guard<parallel::ForkSafeMutex>;

namespace {

template <class T>
ops::LossTerms<T> terms_of(const plan::LossDescription& loss, int64_t outputs) {
  for (const double parameter : loss.parameters) {
    base::representable<T>(parameter, "a parameter of loss '" + loss.name + "'");
  }
  return {ops::find_loss<T>(loss.name), loss.parameters, outputs};
}

// As recordings show it.
std::string told(const plan::LossDescription& loss) {
  std::string all = loss.name;
  for (const plan::HeadLoss& head : loss.heads) all += (all.empty() ? "" : " + ") + head.name;
  return all;
}

template <class T>
std::unique_ptr<optim::Rule<T>> rule_of(const TrainerOptions& options) {
  std::unique_ptr<optim::Rule<T>> solver =
      optim::make_solver<T>(options.rule, options.hyper, options.groups);
  if (solver != nullptr) return solver;
  return optim::wrapped(optim::make_rule<T>(options.rule, options.hyper, options.groups),
                        options.wrappers);
}

// What rules see of a parameter: of a layer's what it multiplies by or looks up, as it lies in the
// buffers; of what is no layer's the last two dimensions, as of arrays of one's own.
struct Seen {
  int64_t rows;
  int64_t cols;
  int64_t count;
  bool is_matrix;
  bool transposed;
};

Seen seen(const nn::Parameter& parameter) {
  const std::vector<int64_t>& shape = parameter.shape;
  if (parameter.node == nn::kNoNode && shape.size() > 1) {
    const int64_t rows = shape[shape.size() - 2];
    return {rows, shape.back(), parameter.size() / (rows * shape.back()), true, false};
  }
  if (parameter.lies == nn::Lies::transposed_panels || parameter.lies == nn::Lies::transposed_rows)
    return {parameter.cols, parameter.rows, parameter.count, parameter.is_matrix(), true};
  return {parameter.rows, parameter.cols, parameter.count, parameter.is_matrix(), false};
}

int64_t most_rows(int64_t together) {
  if (together == 0) return std::numeric_limits<int64_t>::max();
  const int64_t spare = together == 1 ? 0 : 1;  // see plan::Plan::rows_at_once
  return plan::most_rows(together) + spare;
}

}  // namespace

template <class T>
Trainer<T>::Trainer(std::shared_ptr<Model<T>> model, const TrainerOptions& options)
    : model_(std::move(model)),
      options_(options),
      most_rows_(most_rows(model_->description().graph().together())),
      rule_(rule_of<T>(options)),
      solver_(dynamic_cast<optim::Solver<T>*>(rule_.get())),
      threads_(options.threads),
      lr_(options.hyper.front()) {
  if (!options_.loss.heads.empty()) {
    heads_.emplace(model_->description().graph(), options_.loss);
  } else if (has_loss()) {
    loss_terms_.emplace(terms_of<T>(options_.loss, model_->description().target_size()));
  }
  if (options_.clip_norm > 0) {  // however large: then it never clips
    base::representable<T>(std::min(options_.clip_norm, 1.0), "clip_grad_norm");
  }
  if (options_.clip != plan::ClipBy::none) {
    base::representable<T>(std::min(options_.clip_limit, 1.0), "the limit of clip");
  }
  averaging_ = optim::find_wrapper<optim::AveragingRule<T>>(*rule_);
  sam_ = optim::find_wrapper<optim::SamRule<T>>(*rule_);
  const nn::Graph& graph = model_->description().graph();
  is_direct_ = sam_ == nullptr && options_.slices == 0;
  is_plain_ = graph.meeting() == nullptr && !graph.has_sparse_inputs() && !heads_ && is_direct_;
  list_trained(model_->description());
  if (solver_ != nullptr) check_solver(options_.rule);
  source_ = std::make_shared<profiling::SourceNumber>(
      profiling::NamedSource{.kind = "trainer",
                             .network = model_->sizes(),
                             .optimizer = options_.rule,
                             .loss = told(options_.loss),
                             .dtype = sizeof(T) == sizeof(float) ? "float32" : "float64"});
  const Lock lock(model_->mutex());
  model_->set_source(source_);
  nn::Network<T>& network = model_->network();
  for (int i = 0; i < rule_->states(); ++i) states_.push_back(network.make_flat());
  for (auto& state : states_) state_pointers_.push_back(state.data());
  update_.spans = spans_;
  update_.extents = extents_;
  dense_extents_ = ops::common(extents_, network.dense_extents());
  require<ValueError>(
      options_.groups.empty() || network.sparse().empty(),
      "groups must not be given where an Embedding or a Dense is sparse: its rows follow the "
      "trainer's hyperparameters");
  require<ValueError>(options_.wrappers.empty() || network.sparse().empty(),
                      "an average of the weights, Lookahead, Penalized and SAM must not be given "
                      "where an Embedding or a Dense is sparse: the rows that a batch has not seen "
                      "would be left out");
  if (sam_ != nullptr) {
    require<ValueError>(
        has_loss(), "SAM takes two gradients a step, so the trainer must have a loss of gdcore");
    sam_->make_room(network.flat_size());
    first_state_ = base::AlignedBuffer<T>(network.state_size());
  }
  require<ValueError>(rule_->needs() == optim::RuleNeeds::elementwise || network.sparse().empty(),
                      "optimizer '", options_.rule,
                      "' needs whole parameters, so that an Embedding or a Dense cannot be sparse");
  update_.weights = network.values();
  update_.gradients = network.gradients();
  if (options_.slices > 0) make_slices();
  update_.states = state_pointers_.data();
  make_apply();
}

template <class T>
void Trainer<T>::list_trained(const nn::Network<T>& network) {
  const std::vector<nn::Parameter>& all = network.parameters();
  for (size_t i = 0; i < all.size(); ++i) {
    const int group = options_.groups.empty() ? 0 : options_.group_of.at(i);
    const nn::Parameter& parameter = all[i];
    // Of what is no layer's a compiled loss makes no gradient.
    const bool is_out_of_reach = parameter.node == nn::kNoNode && has_loss();
    if (group == TrainerOptions::kFrozen || is_out_of_reach) continue;
    const Seen own = seen(parameter);
    spans_.push_back({parameter.offset, own.rows, own.cols,
                      own.is_matrix ? optim::SpanKind::weight : optim::SpanKind::bias, group,
                      parameter.in_panels() ? ops::Layout::panels : ops::Layout::strided,
                      own.transposed, own.count});
    list_clipped(parameter);
    if (extents_.empty() || extents_.back().end != parameter.offset) {
      extents_.push_back({parameter.offset, parameter.offset});
    }
    extents_.back().end += parameter.size();
  }
  require<ValueError>(
      !spans_.empty() || all.empty(),
      "there must be a parameter to train, got none that is not frozen and that the "
      "loss reaches");
}

template <class T>
void Trainer<T>::list_clipped(const nn::Parameter& parameter) {
  using Units = plan::ClipPart::Units;
  const Seen own = seen(parameter);
  plan::ClipPart part{parameter.offset, own.rows, own.cols, parameter.in_panels()};
  if (own.is_matrix) part.units = own.transposed ? Units::cols : Units::rows;
  const bool is_alone = !options_.clips_layers || parameter.node == nn::kNoNode;
  part.group = is_alone
                   ? static_cast<size_t>(&parameter - model_->description().parameters().data())
                   : static_cast<size_t>(parameter.node);
  for (int64_t k = 0; k < own.count; ++k, part.offset += part.size()) {
    clip_parts_.push_back(part);
  }
}

template <class T>
plan::ClipOptions Trainer<T>::clipping() const {
  plan::ClipOptions clip{options_.clip, options_.clip_limit, options_.clip_eps, clip_parts_};
  if (options_.clip_norm > 0) clip = {plan::ClipBy::whole, options_.clip_norm, 0, {}, nullptr};
  if (sam_ != nullptr) clip.leaves = &sam_->ascending();
  return clip;
}

template <class T>
int Trainer<T>::threads() const {
  if (const int own = threads_) return own;
  if (const int chosen = parallel::chosen_num_threads()) return chosen;
  // Asking the system takes as long as a small step: no oftener than once an epoch.
  int count = default_threads_;
  if (count == 0) default_threads_ = count = parallel::default_thread_count().count;
  return count;
}

template <class T>
void Trainer<T>::make_apply() {
  const int threads = this->threads();
  if (apply_threads_ == threads) return;
  prepare_rule(threads);
  nn::Network<T>& network = model_->network();
  optim::UpdateInput<T> dense = update_;
  dense.extents = dense_extents_;
  apply_.emplace(*rule_, dense, threads);
  if (!network.sparse().empty()) apply_seen_.emplace(*rule_, update_, network.sparse(), threads);
  if (const plan::ClipOptions clip = clipping(); clip.by != plan::ClipBy::none) {
    const ops::Seen gradients{dense_extents_, network.sparse()};
    T* const flat = slices_ ? slices_->sum() : network.gradients();
    clip_.emplace(flat, network.values(), gradients, clip, threads);
  }
  apply_threads_ = threads;
}

template <class T>
plan::PlanOptions<T> Trainer<T>::training_options(int64_t rows, bool gathers) const {
  plan::PlanOptions<T> options;
  options.lowerings = layers::lowering<T>;
  options.kind = plan::PlanKind::training;
  options.capacity = rows;
  options.elements = elements_.room;
  options.elements_a_row = elements_.a_row;
  options.max_workers = threads();
  options.gathers = gathers;
  options.clip = clipping();
  options.precision = options_.precision;
  options.loss = options_.loss;
  options.rule = rule_.get();
  options.update = update_;
  options.updates = slices_ == nullptr;
  return options;
}

template <class T>
int64_t Trainer<T>::rows_at_once(int64_t rows) const {
  return std::min(rows, most_rows_);
}

template <class T>
plan::Plan<T>& Trainer<T>::training_plan(int64_t rows, bool gathers) {
  require<StateError>(has_loss(), "this trainer has no loss: use backward and apply_gradients");
  rows = planned_rows(rows);
  if (training_ == nullptr || training_->capacity() < rows || (gathers && !training_gathers_) ||
      training_->max_workers() != threads()) {
    plan::PlanOptions<T> options = training_options(rows, gathers || training_gathers_);
    prepare_rule(options.max_workers);
    training_ = std::make_unique<plan::Plan<T>>(model_->network(), options);
    training_gathers_ = options.gathers;
  }
  return *training_;
}

template <class T>
plan::Plan<T>& Trainer<T>::accumulating_plan(int64_t rows, bool gathers) {
  if (accumulating_ == nullptr || accumulating_->apart() != rows ||
      (gathers && !accumulating_->gathers()) || accumulating_->max_workers() != threads()) {
    plan::PlanOptions<T> options = training_options(rows_at_once(rows), gathers);
    options.apart = rows;
    options.rule = rule_.get();
    accumulating_ = std::make_unique<plan::Plan<T>>(model_->network(), options);
  }
  return *accumulating_;
}

template <class T>
plan::Plan<T>& Trainer<T>::evaluation_plan(int64_t rows) {
  require<StateError>(has_loss(), "this trainer has no loss to evaluate");
  if (evaluation_ == nullptr || evaluation_->capacity() < rows ||
      evaluation_->max_workers() != threads()) {
    plan::PlanOptions<T> options;
    options.lowerings = layers::lowering<T>;
    options.kind = plan::PlanKind::evaluation;
    options.capacity = rows;
    options.elements_a_row = elements_.a_row;
    options.max_workers = threads();
    options.loss = options_.loss;
    evaluation_ = std::make_unique<plan::Plan<T>>(model_->network(), options);
  }
  return *evaluation_;
}

template <class T>
profiling::Work Trainer<T>::work(int64_t rows) const {
  return {source_->id(), profiling::Purpose::training, rows, threads()};
}

template <class T>
profiling::Work Trainer<T>::validating() const {
  return {source_->id(), profiling::Purpose::validation};
}

template <class T>
void Trainer<T>::begin_update(double lr) {
  beginning_->begin_step(lr, steps_ + 1);
}

template <class T>
void Trainer<T>::end_update() {
  ++steps_;
}

template <class T>
double Trainer<T>::lr() const {
  if (schedule_ == nullptr) return lr_;
  return rate_at(schedule_unit_ == optim::ScheduleUnit::step ? steps_ : epochs_);
}

template <class T>
double Trainer<T>::rate_at(int64_t t) const {
  const double lr = scaled(schedule_->value(lr_, t));
  require<ValueError>(lr >= 0 && lr <= static_cast<double>(std::numeric_limits<T>::max()),
                      "schedule must give a learning rate that is finite and at least 0, got ", lr,
                      " at time ", t);
  return lr;
}

template <class T>
void Trainer<T>::set_lr(double lr) {
  base::representable<T>(lr, "lr");
  require<ValueError>(solver_ == nullptr || solver_->has_rate(), "lr cannot be set: optimizer '",
                      options_.rule, "' has no learning rate");
  if (schedule_ == nullptr) {
    lr_ = lr;
    return;
  }
  const int64_t t = schedule_unit_ == optim::ScheduleUnit::step ? steps_ : epochs_;
  const double unscaled = schedule_->value(lr_, t);
  require<ValueError>(unscaled > 0, "lr cannot be set where the schedule is at 0");
  set_scale(lr, unscaled);
}

template <class T>
void Trainer<T>::set_scale(double scale, double at) {
  ++scale_version_;  // odd: a reader waits
  scale_ = scale;
  scale_at_ = at;
  ++scale_version_;
}

template <class T>
double Trainer<T>::scaled(double rate) const {
  for (;;) {
    const uint64_t version = scale_version_;
    const double scale = scale_;
    const double at = scale_at_;
    if (version % 2 == 0 && version == scale_version_) return scale * (rate / at);
  }
}

template <class T>
void Trainer<T>::set_schedule(std::unique_ptr<optim::Schedule> schedule, optim::ScheduleUnit unit) {
  schedule_ = std::move(schedule);
  schedule_unit_ = unit;
  is_scheduled_ = schedule_ != nullptr || hyper_schedules_ != nullptr;
  is_plain_ = is_plain_ && !is_scheduled_;
}

template <class T>
void Trainer<T>::set_hyper_schedules(std::vector<HyperSchedule> schedules) {
  kept_schedules_.push_back(std::make_unique<HyperSchedules<T>>(*rule_, std::move(schedules)));
  beginning_ = hyper_schedules_ = kept_schedules_.back().get();
  is_scheduled_ = true;
  is_plain_ = false;
}

template <class T>
double Trainer<T>::scheduled_lr() {
  if (hyper_schedules_) {
    hyper_schedules_->ask(steps_, epochs_, [&](const optim::Schedule& schedule, int64_t t) {
      return scaled(schedule.value(lr_, t));
    });
  }
  return lr();
}

template <class T>
std::vector<std::pair<std::string, double>> Trainer<T>::hyper_values() const {
  std::vector<std::pair<std::string, double>> found;
  if (!hyper_schedules_) return found;
  for (const HyperSchedule& each : hyper_schedules_->all()) {
    const auto rate = [&](const optim::Schedule& schedule, int64_t t) {
      return scaled(schedule.value(lr_, t));
    };
    found.emplace_back(each.name, hyper_schedules_->value(each, steps_, epochs_, rate));
  }
  return found;
}

template <class T>
void Trainer<T>::visit_schedules(base::FunctionRef<void(optim::Schedule&)> visitor) {
  if (schedule_) schedule_->walk(visitor);
  for (const auto& schedules : kept_schedules_) {
    for (const HyperSchedule& each : schedules->all()) each.schedule->walk(visitor);
  }
}

template <class T>
void Trainer<T>::prepare(const Dataset& batch) {
  const nn::Graph& graph = model_->description().graph();
  check_rows_together(graph, least_together(batch.size()));
  if (batch.sparse == nullptr) return;
  const Lock lock(model_->mutex());
  expect(batch.sparse);
  make_room(most_elements(graph, batch, rows_at_once(batch.size())));
}

template <class T>
void Trainer<T>::make_room(int64_t elements) {
  if (!elements_.make_room(elements)) return;
  training_.reset();
  accumulating_.reset();
  gradients_.reset();
}

template <class T>
void Trainer<T>::expect(const base::SparseRows<T>* sparse) {
  if (!elements_.expect(model_->description().graph(), sparse)) return;
  training_.reset();
  accumulating_.reset();
  gradients_.reset();
  evaluation_.reset();
}

template <class T>
double Trainer<T>::step(const Dataset& batch) {
  const bool plain = is_plain_;
  double lr = lr_;
  if (!plain) {
    prepare(batch);
    lr = lr_of_step();  // before the lock: a schedule may be a caller's function
  }
  const Region region(RegionKind::step, Zone::kCaller, work(batch.size()));
  const Lock lock(model_->mutex());
  const ops::KernelScope scope;
  plan::Plan<T>& plan = training_plan(batch.size(), false);
  begin_update(lr);
  model_->network().set_gradients_valid(false);
  plan::Batch<T> rows = plain ? batch_of(batch) : this->batch(batch, weigh(batch));
  rows.draw = draw();
  const double loss = plain ? plan.step(rows) : step_of(plan, rows);
  end_update();
  return loss;
}

template <class T>
double Trainer<T>::step_of(plan::Plan<T>& plan, const plan::Batch<T>& rows) {
  return run(
      plan, [&] { return plan.step(rows); },
      [&] { return step_in_slices(plan, rows, {rows.rows}); });
}

template <class T>
double Trainer<T>::weigh(const Dataset& rows) {
  if (slices_) return weigh_slices(rows, {rows.size()});
  return heads_ ? heads_->weigh(rows) : sum_of_weights(rows);
}

template <class T>
plan::Batch<T> Trainer<T>::batch(const Dataset& rows, double weights) const {
  plan::Batch<T> made = batch_of(rows, weights);
  if (heads_) made.heads = heads_->batch();
  return made;
}

template <class T>
int64_t Trainer<T>::learn_many(const Dataset& data, double* losses, Progress progress) {
  for (int64_t i = 0; i < data.size(); ++i) {
    const Dataset row = data.rows(i, 1);
    // What does not count says nothing.
    losses[i] = row.shares != nullptr && *row.shares == 0 ? std::nan("") : step(row);
    if (!progress(i + 1, losses[i])) return i + 1;
  }
  return data.size();
}

template <class T>
void Trainer<T>::apply_gradients() {
  const double lr = lr_of_step();
  const Region region(RegionKind::step, Zone::kCaller, work(0));
  const Lock lock(model_->mutex());
  nn::Network<T>& network = model_->network();
  require<StateError>(network.gradients_valid(),
                      "apply_gradients needs the network's backward before it");
  require<StateError>(sam_ == nullptr,
                      "SAM takes two gradients a step: apply_gradients has only one");
  require<ValueError>(ops::all_finite<T>(network.gradients(), update_.extents),
                      "gradients must be finite, got NaN or infinity from backward");
  begin_update(lr);
  make_apply();
  const int workers = std::max(plan::update_workers(network.flat_size(), states(), apply_threads_),
                               plan::workers_for(rule_->products(spans_), apply_threads_));
  apply_->reset();
  if (apply_seen_) apply_seen_->reset();
  if (clip_) clip_->reset();
  ops::run_collective(*parallel::acquire_team(workers), [&](ops::Worker& worker) {
    if (clip_) {
      clip_->run(worker, {});
      worker.barrier();
    }
    apply_->run(worker, {});
    if (apply_seen_) apply_seen_->run(worker, {});
  });
  nn::check_gaps(network.extents(), network.flat_size(), update_.weights, "parameters");
  network.note_change();
  end_update();
  network.set_gradients_valid(false);  // used up
}

template <class T>
Position Trainer<T>::copy(T* parameters, T* kept, const std::vector<T*>& states, T* statistics) {
  const Lock lock(model_->mutex());
  share_states();
  const nn::Network<T>& network = model_->description();
  network.to_shapes(network.values(), parameters);
  std::copy_n(network.state(), network.state_size(), kept);
  for (size_t k = 0; k < states.size(); ++k) network.to_shapes(state_pointers_[k], states[k]);
  if (statistics != nullptr) std::ranges::copy(rule_->statistics(), statistics);
  return {steps_, epochs_, lr_, scale_, scale_at_, rule_->kept()};
}

template <class T>
bool Trainer<T>::has_average() const {
  if (averaging_ == nullptr) return rule_->averages() && steps_ > 0;
  return averaging_->has_begun(steps_, epochs_);
}

template <class T>
void Trainer<T>::copy_average(T* parameters, T* kept) {
  const Lock lock(model_->mutex());
  require<StateError>(has_average(), "there are no averaged weights yet");
  share_states();
  const nn::Network<T>& network = model_->description();
  // What does not train is as it is, as what layers keep.
  base::AlignedBuffer<T> flat = network.make_flat();
  ops::copy_extents<T>(network.extents(), network.values(), flat.data());
  if (averaging_ != nullptr) {
    ops::copy_extents<T>(update_.extents, averaging_->average(update_.states), flat.data());
  } else {
    const ops::KernelScope scope;
    for (const parallel::Range& run : update_.extents) {
      const auto size = static_cast<size_t>(run.size());
      rule_->evaluation(update_, run.begin, std::span<T>(flat.data() + run.begin, size));
    }
  }
  network.to_shapes(flat.data(), parameters);
  std::copy_n(network.state(), network.state_size(), kept);
}

template <class T>
void Trainer<T>::end_epoch() {
  const Lock lock(model_->mutex());
  const ops::KernelScope scope;
  if (averaging_ != nullptr) averaging_->end_epoch(update_, epochs_);
}

template <class T>
void Trainer<T>::set_position(const Position& position) {
  base::representable<T>(position.lr, "lr");
  const Lock lock(model_->mutex());
  rule_->set_kept(position.kept);
  steps_ = position.steps;
  epochs_ = position.epochs;
  lr_ = position.lr;
  set_scale(position.scale, position.at);
  right_steps_ = -1;
}

template <class T>
void Trainer<T>::set_state(int index, const nn::Parameter& parameter, const T* from) {
  const Lock lock(model_->mutex());
  model_->description().from_shape(parameter, from, state_pointers_.at(static_cast<size_t>(index)));
}

template <class T>
void Trainer<T>::set_statistics(const T* from) {
  const Lock lock(model_->mutex());
  std::copy_n(from, statistics(), rule_->statistics().begin());
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace gd::train

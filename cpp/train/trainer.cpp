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
      rows_meet_(model_->description().graph().meeting() != nullptr),
      most_rows_(most_rows(model_->description().graph().together())),
      rule_(options.rule, options.hyper),
      threads_(options.threads),
      lr_(options.hyper.front()) {
  if (has_loss()) {
    loss_terms_.emplace(terms_of<T>(options_.loss, model_->description().output_size()));
  }
  if (options_.clip_norm > 0) {  // however large: then it never clips
    base::representable<T>(std::min(options_.clip_norm, 1.0), "clip_grad_norm");
  }
  source_ = std::make_shared<profiling::SourceNumber>(
      profiling::NamedSource{.kind = "trainer",
                             .network = model_->sizes(),
                             .optimizer = options_.rule,
                             .loss = options_.loss.name,
                             .dtype = sizeof(T) == sizeof(float) ? "float32" : "float64"});
  const Lock lock(model_->mutex());
  model_->set_source(source_);
  nn::Network<T>& network = model_->network();
  for (int i = 0; i < rule_.states(); ++i) states_.push_back(network.make_flat());
  for (auto& state : states_) state_pointers_.push_back(state.data());
  for (const nn::Parameter& parameter : network.parameters()) {
    const bool weight = parameter.is_matrix();
    // As it lies in the buffers.
    const bool transposed = parameter.lies == nn::Lies::transposed_panels;
    spans_.push_back({parameter.offset, transposed ? parameter.cols : parameter.rows,
                      transposed ? parameter.rows : parameter.cols,
                      weight ? optim::SpanKind::weight : optim::SpanKind::bias, 0,
                      weight ? ops::Layout::panels : ops::Layout::strided});
  }
  update_.spans = spans_;
  update_.extents = network.extents();
  update_.weights = network.values();
  update_.gradients = network.gradients();
  update_.states = state_pointers_.data();
  make_apply();
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
  apply_.emplace(rule_, update_, model_->description().num_parameters(), threads);
  if (options_.clip_norm > 0) {
    clip_.emplace(model_->network().gradients(), update_.extents, options_.clip_norm, threads);
  }
  apply_threads_ = threads;
}

template <class T>
plan::PlanOptions<T> Trainer<T>::training_options(int64_t rows, bool gathers) const {
  plan::PlanOptions<T> options;
  options.lowerings = layers::lowering<T>;
  options.kind = plan::PlanKind::training;
  options.capacity = rows;
  options.max_workers = threads();
  options.gathers = gathers;
  options.clip_norm = options_.clip_norm;
  options.precision = options_.precision;
  options.loss = options_.loss;
  options.update = update_;
  return options;
}

template <class T>
int64_t Trainer<T>::rows_at_once(int64_t rows) const {
  return std::min(rows, most_rows_);
}

template <class T>
plan::Plan<T>& Trainer<T>::training_plan(int64_t rows, bool gathers) {
  require<StateError>(has_loss(), "this trainer has no loss: use backward and apply_gradients");
  rows = rows_at_once(rows);
  if (training_ == nullptr || training_->capacity() < rows || (gathers && !training_gathers_) ||
      training_->max_workers() != threads()) {
    plan::PlanOptions<T> options = training_options(rows, gathers || training_gathers_);
    options.rule = &rule_;
    training_ = std::make_unique<plan::Plan<T>>(model_->network(), options);
    training_gathers_ = options.gathers;
  }
  return *training_;
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
  rule_.begin_step(lr, steps_ + 1);
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
  const double lr = scaled(schedule_->rate(lr_, t));
  require<ValueError>(lr >= 0 && lr <= static_cast<double>(std::numeric_limits<T>::max()),
                      "schedule must give a learning rate that is finite and at least 0, got ", lr,
                      " at time ", t);
  return lr;
}

template <class T>
void Trainer<T>::set_lr(double lr) {
  base::representable<T>(lr, "lr");
  if (schedule_ == nullptr) {
    lr_ = lr;
    return;
  }
  const int64_t t = schedule_unit_ == optim::ScheduleUnit::step ? steps_ : epochs_;
  const double unscaled = schedule_->rate(lr_, t);
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
}

template <class T>
double Trainer<T>::step(const Dataset& batch) {
  if (rows_meet_) check_rows_together(model_->description().graph(), batch.size());
  const double lr = this->lr();  // before the lock: a schedule may be a caller's function
  const Region region(RegionKind::step, Zone::kCaller, work(batch.size()));
  const Lock lock(model_->mutex());
  const ops::KernelScope scope;
  plan::Plan<T>& plan = training_plan(batch.size(), false);
  begin_update(lr);
  model_->network().set_gradients_valid(false);
  plan::Batch<T> rows = batch_of(batch);
  rows.draw = draw();
  const double loss = plan.step(rows);
  end_update();
  return loss;
}

template <class T>
double Trainer<T>::fit_epoch(const Dataset& data, int64_t batch_size, bool shuffle,
                             Progress progress) {
  ask_for_threads();
  const int64_t at_once = std::min(batch_size, data.size());
  shuffle = shuffle && at_once < data.size();  // the mean over all samples has no order
  data::BatchSampler sampler(data.size(), at_once);
  const nn::Graph& graph = model_->description().graph();
  check_rows_together(graph, at_once);
  check_rows_together(graph, sampler.batch_rows(sampler.batches() - 1));  // it may be short
  {
    Region region(RegionKind::other, Zone::kCaller, work(0));
    if (shuffle) sampler.shuffle(options_.seed, static_cast<uint64_t>(epochs_));
    region.lap(Zone::kData);
    take_snapshot();
    region.lap(Zone::kSnapshot);
  }
  double loss_sum = 0;
  double weight_sum = 0;
  for (int64_t i = 0; i < sampler.batches(); ++i) {
    const int64_t begin = sampler.batch_begin(i);
    const double lr = this->lr();
    std::optional<double> batch_loss;
    {
      const Region region(RegionKind::step, Zone::kCallback, work(sampler.batch_rows(i)));
      const Lock lock(model_->mutex());
      const ops::KernelScope scope;
      plan::Plan<T>& plan = training_plan(at_once, shuffle);
      const Dataset rows = data.rows(begin, sampler.batch_rows(i));
      const double weights =
          shuffle ? sum_of_weights(data, sampler.batch(i)) : sum_of_weights(rows);
      if (weights > 0) {  // a batch of samples without weight says nothing
        begin_update(lr);
        model_->network().set_gradients_valid(false);
        plan::Batch<T> batch = batch_of(shuffle ? data : rows, weights);
        batch.draw = draw();
        const double loss = shuffle ? plan.step(batch, sampler.batch(i)) : plan.step(batch);
        end_update();
        if (!std::isfinite(loss)) diverged(loss, lr);
        batch_loss = loss;
        loss_sum += loss * weights;
        weight_sum += weights;
      }
      if (i + 1 == sampler.batches()) {
        check_end(data, at_once, lr);
        ++epochs_;
      }
    }
    if (!progress(begin + sampler.batch_rows(i), batch_loss)) break;
    model_->mutex().give_way();
  }
  return loss_sum / weight_sum;
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
void Trainer<T>::take_snapshot() {
  const Lock lock(model_->mutex());
  if (!known_to_be_right()) {
    require<StateError>(
        all_finite(update_.weights),
        "the parameters are not finite, so that no epoch can go on from them: give the "
        "network others with load_state_dict");
    require<StateError>(states_finite(),
                        "the optimizer's state is not finite, so that no epoch can go on from it: "
                        "make a new trainer of the network");
  }
  const int64_t size = model_->description().flat_size();
  const auto arrays = static_cast<int64_t>(1 + states_.size());
  const nn::Network<T>& network = model_->network();
  if (snapshot_.size() == 0) {
    snapshot_ = base::AlignedBuffer<T>(arrays * size);
    state_snapshot_ = base::AlignedBuffer<T>(network.state_size());
  }
  std::copy_n(network.state(), network.state_size(), state_snapshot_.data());
  T* to = snapshot_.data();
  ops::copy_extents<T>(update_.extents, update_.weights, to);
  for (const T* state : state_pointers_) ops::copy_extents<T>(update_.extents, state, to += size);
  snapshot_steps_ = steps_;
}

template <class T>
bool Trainer<T>::all_finite(const T* flat) const {
  return ops::all_finite<T>(flat, update_.extents);
}

template <class T>
bool Trainer<T>::states_finite() const {
  return std::ranges::all_of(state_pointers_, [&](const T* state) { return all_finite(state); });
}

template <class T>
bool Trainer<T>::known_to_be_right() const {
  return right_steps_ == steps_ && right_version_ == model_->network().version();
}

template <class T>
void Trainer<T>::check_end(const Dataset& data, int64_t batch_size, double lr) {
  if (!all_finite(update_.weights)) diverged("a parameter left the finite numbers", lr);
  if (!states_finite()) diverged("the optimizer's state left the finite numbers", lr);
  const nn::Network<T>& network = model_->network();
  const auto kept = static_cast<size_t>(network.state_size());
  if (!ops::all_finite<T>(std::span<const T>(network.state(), kept))) {
    diverged("what a layer keeps left the finite numbers", lr);
  }
  if (may_overflow()) {
    const Dataset rows = data.rows(0, std::min(batch_size, kDefaultBatch));
    const double weights = sum_of_weights(rows);
    if (weights > 0) {
      const Region region(RegionKind::other, Zone::kStep, validating());
      const double sum = evaluation_plan(rows.size()).add_losses(batch_of(rows, weights), 0);
      if (!std::isfinite(sum)) diverged(sum, lr);
    }
  }
  right_steps_ = steps_;
  right_version_ = model_->network().version();
}

template <class T>
bool Trainer<T>::may_overflow() const {
  // Outputs are about |x| times the product of the layers' Frobenius norms at most, with those of
  // their biases; a loss squares them at most.
  double product = 1;
  for (const optim::ParameterSpan& span : spans_) {
    const T sum = ops::sum_squares(
        std::span<const T>(update_.weights + span.offset, static_cast<size_t>(span.size())));
    product *= std::max(1.0, std::sqrt(static_cast<double>(sum)));
  }
  return !(product < std::pow(static_cast<double>(std::numeric_limits<T>::max()), 0.3));
}

template <class T>
void Trainer<T>::restore_snapshot() {
  const int64_t size = model_->description().flat_size();
  const T* from = snapshot_.data();
  ops::copy_extents<T>(update_.extents, from, update_.weights);
  for (T* state : state_pointers_) ops::copy_extents<T>(update_.extents, from += size, state);
  steps_ = snapshot_steps_;
  nn::Network<T>& network = model_->network();
  std::copy_n(state_snapshot_.data(), network.state_size(), network.state());
  network.note_change();
}

template <class T>
void Trainer<T>::diverged(double loss, double lr) {
  diverged(std::isnan(loss) ? "the loss became NaN" : "the loss became infinite", lr);
}

template <class T>
void Trainer<T>::diverged(const char* what, double lr) {
  const int64_t step = steps_;
  restore_snapshot();
  throw base::DivergenceError(base::message(
      what, " in epoch ", epochs_ + 1, " at step ", step, " with learning rate ", lr,
      "; parameters and optimizer are back where the epoch began. Try a smaller learning rate or "
      "clip_grad_norm."));
}

template <class T>
Evaluation Trainer<T>::evaluate(const Dataset& data, int64_t batch_size,
                                base::FunctionRef<bool()> stops) {
  const Lock lock(model_->mutex());
  const parallel::ForkSafeMutex::Reading reading(model_->mutex());
  const int64_t at_once = std::min(batch_size, data.size());
  AccuracyCounter<T> correct(options_.loss.name);
  Pace pace(data.size(), 2 * model_->description().num_parameters());
  double loss_sum = 0;
  double weight_sum = 0;
  for (int64_t begin = 0; begin < data.size(); begin += at_once) {
    const Dataset batch = data.rows(begin, std::min(at_once, data.size() - begin));
    // Each sample counts by its own weight, so a batch without any adds nothing.
    const double weights = sum_of_weights(batch);
    weight_sum += weights;
    for (int64_t done = 0; done < batch.size();) {
      const Dataset rows = batch.rows(done, pace.next(batch.size() - done));
      if (weights > 0) {
        // Without what `stops` does.
        const Region region(RegionKind::other, Zone::kCaller, validating());
        const ops::KernelScope scope;
        plan::Plan<T>& plan = evaluation_plan(at_once);
        loss_sum = plan.add_losses(batch_of(rows, weights), loss_sum);
        correct.add(plan.output(rows.size()), rows);
      }
      done += rows.size();
      pace.done(rows.size());
      if (begin + done < data.size() && stops()) return {};
    }
  }
  return {loss_sum / weight_sum, correct.result()};
}

template <class T>
void Trainer<T>::apply_gradients() {
  const double lr = this->lr();
  const Region region(RegionKind::step, Zone::kCaller, work(0));
  const Lock lock(model_->mutex());
  nn::Network<T>& network = model_->network();
  require<StateError>(network.gradients_valid(),
                      "apply_gradients needs the network's backward before it");
  require<ValueError>(ops::all_finite<T>(network.gradients(), update_.extents),
                      "gradients must be finite, got NaN or infinity from backward");
  begin_update(lr);
  make_apply();
  const int workers = plan::update_workers(network.flat_size(), rule_.states(), apply_threads_);
  apply_->reset();
  if (clip_) clip_->reset();
  ops::run_collective(*parallel::acquire_team(workers), [&](ops::Worker& worker) {
    if (clip_) {
      clip_->run(worker, {});
      worker.barrier();
    }
    apply_->run(worker, {});
  });
  nn::check_gaps(update_.extents, network.flat_size(), update_.weights, "parameters");
  network.note_change();
  end_update();
  network.set_gradients_valid(false);  // used up
}

template <class T>
Position Trainer<T>::copy(T* parameters, T* kept, const std::vector<T*>& states) {
  const Lock lock(model_->mutex());
  const nn::Network<T>& network = model_->description();
  network.to_shapes(network.values(), parameters);
  std::copy_n(network.state(), network.state_size(), kept);
  for (size_t k = 0; k < states.size(); ++k) network.to_shapes(state_pointers_[k], states[k]);
  return {steps_, epochs_, lr_, scale_, scale_at_};
}

template <class T>
void Trainer<T>::set_position(const Position& position) {
  base::representable<T>(position.lr, "lr");
  const Lock lock(model_->mutex());
  steps_ = position.steps;
  epochs_ = position.epochs;
  lr_ = position.lr;
  set_scale(position.scale, position.at);
  right_steps_ = -1;
}

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
void Trainer<T>::set_state(int index, const nn::Parameter& parameter, const T* from) {
  const Lock lock(model_->mutex());
  model_->description().from_shape(parameter, from, state_pointers_.at(static_cast<size_t>(index)));
}

template <class T>
MemoryPlan Trainer<T>::memory(int64_t batch_size, bool shuffle) {
  const Lock lock(model_->mutex());
  const auto flat = model_->description().flat_size() * static_cast<int64_t>(sizeof(T));
  MemoryPlan result;
  result.parameters = flat;
  result.gradients = flat;
  result.states = flat * rule_.states();
  if (has_loss()) {
    result.snapshot = result.parameters + result.states;
    result.plan = plan::Plan<T>::memory(model_->network(),
                                        training_options(rows_at_once(batch_size), shuffle));
    result.gradients += result.plan.gradients;  // of the parts that workers take
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
  return result;
}

template <class T>
int Trainer<T>::workers(int64_t batch_size) {
  const Lock lock(model_->mutex());
  return training_plan(batch_size, training_gathers_).workers(rows_at_once(batch_size));
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace gd::train

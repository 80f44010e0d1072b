#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/function_ref.hpp"
#include "data/dataset.hpp"
#include "data/sampler.hpp"
#include "optim/grouped_rule.hpp"
#include "optim/schedule.hpp"
#include "optim/solvers/solver.hpp"
#include "optim/wrapped_rule.hpp"
#include "plan/operations/clip.hpp"
#include "plan/operations/update.hpp"
#include "profiling/recorder.hpp"
#include "train/accuracy.hpp"
#include "train/heads.hpp"
#include "train/hyper_schedules.hpp"
#include "train/model.hpp"
#include "train/residuals.hpp"
#include "train/slices.hpp"

namespace gd::train {

struct TrainerOptions {
  plan::LossDescription loss;  // without a name: gradients come from outside, see apply_gradients
  std::string rule;
  std::vector<double> hyper;  // in the order of the rule's parameters, the learning rate first
  int threads = 1;            // 0: as many as are set when it is called, see Trainer::threads
  uint64_t seed = 0;
  ops::Precision precision = ops::Precision::highest;  // of the products of a step
  double clip_norm = 0;  // largest Euclidean norm of the whole gradient; 0: no limit
  // In place of it; what is limited together is each parameter or each layer.
  plan::ClipBy clip = plan::ClipBy::none;
  double clip_limit = 0;
  double clip_eps = 0;
  bool clips_layers = false;
  std::vector<optim::Wrapper> wrappers;  // around the rule
  std::vector<optim::Group> groups;
  // Of each parameter of the network: the number of its group, or that it does not train. Empty
  // where there are no groups: then `hyper` is for all.
  std::vector<int> group_of;
  static constexpr int kFrozen = -1;
  // In how many slices a batch is cut, whose sums are added as a tree; 0: it is not. Bits follow
  // their number, and not which rank has which.
  int slices = 0;
  std::shared_ptr<exchange::Exchange> exchange{};  // between the ranks that share the slices
};

struct OperationInfo {
  profiling::Zone zone;
  profiling::Zone phase;
  std::string layer;  // its name, empty where it belongs to none
  int64_t flops;
  int64_t bytes;
};

// Bytes that training holds beside the data.
struct MemoryPlan {
  int64_t parameters = 0;
  int64_t gradients = 0;
  int64_t states = 0;    // of the optimizer, with what a solver works on
  int64_t snapshot = 0;  // parameters and states as they were when the epoch began
  plan::PlanMemory plan;
};

// Where training stands, beside parameters and states.
struct Position {
  int64_t steps = 0;
  int64_t epochs = 0;
  double lr = 0;     // what the schedule starts from, or without one the rate
  double scale = 1;  // of the schedule, see set_lr: the rate is scale (what it says / at)
  double at = 1;
  std::vector<double> kept{};  // see optim::Rule::kept
};

// The rows of a batch, and which of them the data have that come with it: all, or those of this
// rank's slices.
struct BatchRows {
  int64_t rows = 0;
  bool has_all = true;
  const std::span<const int64_t>* indices = nullptr;  // of rows that are not next to each other
  int64_t number = 0;                                 // of the batch
};

// How far an epoch is whose samples come in parts, one call of fit_epoch each.
struct EpochPart {
  bool first = true;  // since when a divergence goes back to where this part began
  bool last = false;
  int64_t samples = 0;  // done, in all parts
  // Sums of what the epoch's loss is made of; of heads too.
  double loss = 0;
  double weight = 0;
  std::vector<double> head_losses{};
  std::vector<double> head_weights{};
  // Of slices: how many rows this part has in all, where the data are those of this rank's slices
  // alone, batch by batch; 0: every rank has all.
  int64_t rows = 0;
};

struct Evaluation {
  double loss = 0;
  std::optional<double> accuracy;    // for losses over classes
  std::vector<HeadFigures> heads{};  // where there are several losses
};

// Owns the optimizer's state and the position in training; shares the model. All data must have
// been checked: shapes, finite numbers, labels in range, weights that do not sum to zero.
template <class T>
class Trainer {
 public:
  using Dataset = data::Dataset<T>;
  // Called between steps with the number of samples done and the loss of the batch, if it had one;
  // false stops the epoch.
  using Progress = base::FunctionRef<bool(int64_t, std::optional<double>)>;

  // ValueError for an unknown rule or loss, a wrong number of parameters of either, or groups that
  // leave nothing to train.
  Trainer(std::shared_ptr<Model<T>> model, const TrainerOptions& options);

  Model<T>& model() { return *model_; }
  bool has_loss() const { return !options_.loss.none(); }
  const ops::LossTerms<T>& loss_terms() const { return *loss_terms_; }   // where it has one
  const Heads<T>* heads() const { return heads_ ? &*heads_ : nullptr; }  // where it has several

  // One update on one batch; returns the loss before it.
  double step(const Dataset& batch);

  // One pass over the data, an update for each batch; returns the mean of the losses before each
  // update, weighted by samples. A stopped epoch leaves its updates and is not counted. Where the
  // loss or a parameter is not finite any more, everything goes back to where the epoch began and a
  // DivergenceError names epoch, step and learning rate.
  // With `accumulate` an update takes so many batches together, as one whose rows see each other
  // only within each of them.
  // With `derivative_weights`, one an input, the targets hold derivatives too, and so does the
  // loss, see plan/operations/derivative_loss.hpp; check_derivatives must have let that pass.
  // `order`, a permutation of the rows, stands in the place of the trainer's own shuffle.
  // With `part` the data are a part of an epoch, in order: all but the last are whole updates. It
  // is kept up with every update, whatever ends the call, but a divergence.
  double fit_epoch(const Dataset& data, int64_t batch_size, bool shuffle, Progress progress,
                   int64_t accumulate = 1, const std::vector<double>& derivative_weights = {},
                   std::span<const int64_t> order = {}, EpochPart* part = nullptr);
  // Of each head in the last epoch; of one with derivatives the means of the outputs' loss and of
  // the derivatives' squared error.
  const std::vector<double>& head_losses() const { return head_losses_; }
  // ValueError where the trainer cannot train on derivatives.
  void check_derivatives() const;

  // Ends early where `stops` says so, which is asked with the model's mutex held and may wait for
  // Python; then the result says nothing.
  Evaluation evaluate(const Dataset& data, int64_t batch_size,
                      base::FunctionRef<bool()> stops = NeverStops());

  // Stochastic descent over rows in order: one update each. losses (N,) gets each sample's loss
  // before its update. Stops where progress says so and returns the rows done.
  int64_t learn_many(const Dataset& data, double* losses, Progress progress);

  // The gradient of a batch, to the network's, without an update: of rows from `first_row` on of a
  // step that may have more, which draws numbers by them; `weight_sum` is that of all its rows, or
  // 0, the batch's own. Returns what these rows give to the loss.
  double compute_gradients(const Dataset& batch, double weight_sum, int64_t first_row);
  // The flat buffers: `call` may write them, and nobody else works on them meanwhile. StateError
  // where there is no gradient.
  void with_flat(bool gradients, base::FunctionRef<void(T*, int64_t)> call);

  // One update with the gradients of the model's last backward, which are then used up; StateError
  // without.
  void apply_gradients();

  // Of batches; 0: they are not cut. Where ranks share them, all make the same calls in the same
  // order, and copy and copy_average are among these: each rank updates states of its own.
  int slices() const { return options_.slices; }
  // Whether each rank updates a part of the parameters, and not every rank all.
  bool updates_own() const { return updates_own_; }
  // The rows of a batch of that size that a rank works on. There must be slices.
  parallel::Range rows_of_rank(int64_t rows, int rank) const {
    return slices_->tree().rows(slices_->tree().of_rank(rank, slices_->ranks()), rows);
  }

  // How many threads a call may use: the option or what was set since, else what set_num_threads
  // says now, else what counts without it. No result depends on it at the highest precision.
  int threads() const;
  // Asks the system anew what counts where nobody has said a number.
  void ask_for_threads() { default_threads_ = 0; }
  void set_threads(int threads) { threads_ = threads; }  // 0 as in the options

  // The rate of the next step: the schedule's, if there is one. ValueError where that is no rate.
  double lr() const;
  // ValueError where T cannot hold it. With a schedule it scales the rest of it, and lr() is that
  // very number until the schedule goes on; ValueError where the schedule is at zero. Not by two
  // threads at once.
  void set_lr(double lr);
  // The rate at a time in place of the present one, and what the schedule alone says for it,
  // without what set_lr made of it. There must be a schedule.
  double rate_at(int64_t t) const;
  double scheduled_at(int64_t t) const { return schedule_->value(lr_, t); }
  // What it starts from.
  double base_lr() const { return lr_; }
  // Null: the rate stays what it is.
  void set_schedule(std::unique_ptr<optim::Schedule> schedule, optim::ScheduleUnit unit);
  // Other hyperparameters, and rates of groups: what begins steps from here on. StateError where
  // the rule has none that could change.
  void set_hyper_schedules(std::vector<HyperSchedule> schedules);
  // Of each, by name, what the next step takes.
  std::vector<std::pair<std::string, double>> hyper_values() const;
  // All of either, with what they are made of.
  void visit_schedules(base::FunctionRef<void(optim::Schedule&)> visitor);
  int64_t steps() const { return steps_; }
  int64_t epochs() const { return epochs_; }

  // Whether there are weights to judge by beside those that train; and a copy of them, as copy()
  // makes one. StateError where there are none.
  bool keeps_average() const { return averaging_ != nullptr || rule_->averages(); }
  bool has_average() const;
  void copy_average(T* parameters, T* kept);
  // What fit_epoch does once it has counted one, for who makes the epochs.
  void end_epoch();

  int states() const { return rule_->states(); }
  // The hyperparameter of a solver by which its last epoch found that there is nothing left to do,
  // or null.
  const char* converged() const { return converged_; }
  // Of a solver: how often its epochs have asked for losses alone, for gradients, and for the
  // derivatives of all residuals.
  struct Evaluations {
    int64_t losses = 0;
    int64_t gradients = 0;
    int64_t jacobians = 0;
  };
  Evaluations evaluations() const;
  // Data that are new may lie where others did.
  void expect_new_data() { solved_ = nullptr; }
  // All that fit and step go on from, as of one moment: parameters and each state in the shapes and
  // order of description().parameters(), without gaps; and what layers keep beside.
  // And the rule's statistics, where there are any.
  Position copy(T* parameters, T* kept, const std::vector<T*>& states, T* statistics = nullptr);
  // ValueError where the rule keeps another number of numbers; then nothing has changed.
  void set_position(const Position& position);
  // A parameter's part of state `index`, in its shape.
  void set_state(int index, const nn::Parameter& parameter, const T* from);
  int64_t statistics() const { return static_cast<int64_t>(rule_->statistics().size()); }
  void set_statistics(const T* from);  // so many

  // For batches of that size, shuffled or in order, as `fit` takes them.
  MemoryPlan memory(int64_t batch_size, bool shuffle);

  // What a step on a batch of that size does, in order, and how many workers it gets.
  std::vector<OperationInfo> operations(int64_t batch_size);
  int workers(int64_t batch_size);

 private:
  // Of a batch: all rows where layers see them together.
  int64_t rows_at_once(int64_t rows) const;
  plan::Plan<T>& training_plan(int64_t rows, bool gathers);
  plan::Plan<T>& evaluation_plan(int64_t rows);
  plan::PlanOptions<T> training_options(int64_t rows, bool gathers) const;
  void list_trained(const nn::Network<T>& network);
  void list_clipped(const nn::Parameter& parameter);
  plan::ClipOptions clipping() const;
  // Of batches that fit_epoch puts together, and whose rows see each other.
  plan::Plan<T>& accumulating_plan(int64_t rows, bool gathers);
  // The plan of batches whose loss has derivatives in it.
  plan::Plan<T>& derivative_plan(int64_t rows, bool gathers, const std::vector<double>& weights);
  // A pass, which makes the update and returns the loss: two where that takes two gradients. Then
  // what layers keep, and the losses of heads, are those of the first. In slices it is `apart`.
  template <class Pass, class Apart>
  double run(plan::Plan<T>& plan, Pass&& pass, Apart&& apart);
  // A step that is not plain; apart from those that are, which it would make longer.
  [[gnu::noinline]] double step_of(plan::Plan<T>& plan, const plan::Batch<T>& rows);
  // One update by the sum over slices, and the loss before it.
  double step_in_slices(plan::Plan<T>& plan, const plan::Batch<T>& data, const BatchRows& of);
  void run_slices(plan::Plan<T>& plan, plan::Batch<T> batch, const BatchRows& of,
                  exchange::Node node, std::span<T* const> buffers, double* figures);
  // Of several slices that went through at once; of heads too.
  void add_losses(plan::Plan<T>& plan, const plan::Slicing<T>& slicing, exchange::Node node,
                  double* figures);
  void add_pieces(int64_t rows);
  void update_sum(int64_t rows);
  // By what the losses of a batch are divided, where there are heads, or slices: then weights are
  // summed as slices are.
  double weigh_apart(const Dataset& data, const BatchRows& of);
  double weigh_slices(const Dataset& data, const BatchRows& of);
  // Of one slice, for each head.
  void weigh_slice(const Dataset& data, const BatchRows& of, int slice, double* to);
  size_t weights_a_batch() const { return heads_ ? heads_->size() : 1; }
  // Rows of a part that ranks have apart: which of them belong to a batch, and what the slices of
  // all batches weigh, on all ranks.
  void share_part(const Dataset& data, const data::BatchSampler& sampler);
  std::span<const int64_t> rows_here(int64_t batch, int64_t rows);
  void share_states();
  // Rows of a batch for which there must be room at once.
  int64_t planned_rows(int64_t rows) const {
    if (slices_ == nullptr) return rows_at_once(rows);
    return rows_at_once(slices_->most_rows(rows, model_->description().graph().together() == 1));
  }
  // What this rank has found, or where ranks may find different things, whether all have found it.
  bool on_all_ranks(bool differ, bool here) { return differ ? slices_->all_agree(here) : here; }
  // Fewest rows that see each other of a batch of that size.
  int64_t least_together(int64_t rows) const {
    return slices_ ? slices_->tree().least_rows(rows) : rows;
  }
  // Checks a batch whose rows see each other, and makes room for sparse ones.
  void prepare(const Dataset& batch);
  // The caller holds the model's mutex; plans that have no room for so many elements of sparse rows
  // at once, or have too few workers for them, are made anew.
  void make_room(int64_t elements);
  void expect(const base::SparseRows<T>* sparse);
  void make_apply();
  void make_slices();
  // The rule's own memory for that many workers.
  void prepare_rule(int workers) {
    if (rule_->needs() != optim::RuleNeeds::elementwise) rule_->prepare(spans_, workers);
  }
  profiling::Work work(int64_t rows) const;  // as it is recorded
  profiling::Work validating() const;
  // What random layers draw from in the next step: a run that goes on from a file draws the same.
  plan::Draw draw() const { return {options_.seed, static_cast<uint64_t>(steps_), 0}; }
  void begin_update(double lr);
  double solve_epoch(const Dataset& data, int64_t batch_size, Progress progress);
  // ValueError where the optimizer is a solver that cannot train this network by this loss.
  void check_solver(const std::string& name) const;
  int64_t solver_bytes() const;
  void take_snapshot();
  void restore_snapshot();
  bool all_finite(const T* flat) const;
  bool states_finite() const;
  // Whether nothing has changed since the end of an epoch that was found to be right.
  bool known_to_be_right() const;
  // Rows as a plan takes them, and by what their losses' sum is divided; with several heads what
  // belongs to these, too.
  double weigh(const Dataset& rows);
  plan::Batch<T> batch(const Dataset& rows, double weights) const;
  Evaluation evaluate_heads(const Dataset& data, int64_t batch_size,
                            base::FunctionRef<bool()> stops);
  // The last update of an epoch has no loss after it that would tell: what it left must be finite,
  // and its loss too.
  void check_end(const Dataset& data, int64_t batch_size, double lr, bool has_all);
  // A bound that no network in use comes near; below it a loss cannot overflow.
  bool may_overflow() const;
  void set_scale(double scale, double at);
  double scaled(double rate) const;
  // lr() for a step, asked before the model's mutex is held; other schedules are asked too.
  double lr_of_step() { return is_scheduled_ ? scheduled_lr() : lr_.load(); }
  double scheduled_lr();
  [[noreturn]] void diverged(const char* what, double lr);
  [[noreturn]] void diverged(double loss, double lr);
  void end_update();

  std::shared_ptr<Model<T>> model_;
  TrainerOptions options_;
  int64_t most_rows_;                                // of a batch, that go through at once
  std::shared_ptr<profiling::SourceNumber> source_;  // of what it does, for recordings
  std::optional<ops::LossTerms<T>> loss_terms_;
  std::optional<Heads<T>> heads_;
  bool is_plain_ = true;  // no heads, dense rows by themselves, no schedule: a step asks once
  std::vector<double> head_losses_;
  std::unique_ptr<optim::Rule<T>> rule_;
  optim::Solver<T>* solver_ = nullptr;  // the rule, where it is one
  std::unique_ptr<Residuals<T>> residuals_;
  Evaluations evaluations_;
  std::atomic<const char*> converged_{nullptr};
  std::atomic<const void*> solved_{nullptr};      // the data that the solver's last loss is of
  optim::AveragingRule<T>* averaging_ = nullptr;  // in the rule, or null
  optim::SamRule<T>* sam_ = nullptr;
  std::unique_ptr<Slices<T>> slices_;
  bool updates_own_ = false;             // each rank what is its own; else every rank all
  bool states_behind_ = false;           // those that other ranks update
  bool is_direct_ = true;                // one pass, and no slices: nothing around a plan's step
  std::vector<int64_t> order_here_;      // of rows that ranks have apart: 0, 1, 2, ...
  std::vector<int64_t> begins_here_;     // of batches among them
  std::vector<double> weights_here_;     // (batches, slices, heads)
  base::AlignedBuffer<T> state_before_;  // of what layers keep, while slices go on from it
  base::AlignedBuffer<T> first_state_;   // of the first pass of two
  std::vector<double> first_sums_;       // of heads, where a step is not direct
  std::vector<plan::ClipPart> clip_parts_;
  std::vector<base::AlignedBuffer<T>> states_;
  std::vector<T*> state_pointers_;
  std::vector<optim::ParameterSpan> spans_;     // of the parameters that train
  std::vector<parallel::Range> extents_;        // of them
  std::vector<parallel::Range> dense_extents_;  // of those that are not sparse
  optim::UpdateInput<T> update_;
  // Parameters, then states, as they were when the epoch began.
  base::AlignedBuffer<T> snapshot_;
  base::AlignedBuffer<T> state_snapshot_;  // of what layers keep
  std::vector<T> statistics_snapshot_;     // of what the rule keeps beside states
  int64_t snapshot_steps_ = 0;
  std::vector<double> snapshot_kept_;  // of the rule
  int64_t right_steps_ = -1;           // what known_to_be_right compares
  uint64_t right_version_ = 0;
  std::unique_ptr<plan::Plan<T>> training_;
  bool training_gathers_ = false;
  std::unique_ptr<plan::Plan<T>> accumulating_;
  std::unique_ptr<plan::Plan<T>> gradients_;  // that makes them alone
  std::unique_ptr<plan::Plan<T>> derivative_;
  std::vector<double> derivative_weights_;  // that it is for
  Elements elements_;
  std::unique_ptr<plan::Plan<T>> evaluation_;
  std::optional<plan::Clip<T>> clip_;  // for gradients from outside
  std::optional<plan::Update<T>> apply_;
  std::optional<plan::UpdateSeen<T>> apply_seen_;  // of what is sparse
  int apply_threads_ = 0;                          // that both are for
  std::unique_ptr<optim::Schedule> schedule_;
  optim::ScheduleUnit schedule_unit_ = optim::ScheduleUnit::epoch;
  HyperSchedules<T>* hyper_schedules_ = nullptr;
  // That and those it was before, at whose hands a step of another thread may be.
  std::vector<std::unique_ptr<HyperSchedules<T>>> kept_schedules_;
  optim::StepBeginning* beginning_ = rule_.get();  // or hyper_schedules_
  bool is_scheduled_ = false;                      // either
  // Atomic: Python reads and sets them while another thread trains.
  std::atomic<int> threads_;
  mutable std::atomic<int> default_threads_{0};
  std::atomic<double> lr_;
  // The two are read together: who sets them counts up before and after.
  std::atomic<uint64_t> scale_version_{0};
  std::atomic<double> scale_{1};
  std::atomic<double> scale_at_{1};
  std::atomic<int64_t> steps_{0};
  std::atomic<int64_t> epochs_{0};
};

template <class T>
template <class Pass, class Apart>
double Trainer<T>::run(plan::Plan<T>& plan, Pass&& pass, Apart&& apart) {
  if (is_direct_) return pass();
  const auto once = [&] {
    if (slices_ != nullptr) return apart();
    const double loss = pass();
    first_sums_ = plan.head_sums();
    return loss;
  };
  if (sam_ == nullptr) return once();
  nn::Network<T>& network = model_->network();
  sam_->set_ascending(true);
  const double loss = once();
  std::copy_n(network.state(), network.state_size(), first_state_.data());
  const std::vector<double> first_sums = first_sums_;
  sam_->set_ascending(false);
  once();
  first_sums_ = first_sums;
  std::copy_n(first_state_.data(), network.state_size(), network.state());
  return loss;
}

}  // namespace gd::train

// Epochs of a trainer, and the way back from one that diverges.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/check.hpp"
#include "data/sampler.hpp"
#include "plan/operations/derivative_loss.hpp"
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
double Trainer<T>::fit_epoch(const Dataset& data, int64_t batch_size, bool shuffle,
                             Progress progress, int64_t accumulate,
                             const std::vector<double>& derivative_weights,
                             std::span<const int64_t> order, EpochPart* part) {
  ask_for_threads();
  if (solver_ != nullptr) return solve_epoch(data, batch_size, progress);
  // Every part of an epoch has plans of the same size.
  const int64_t one = part != nullptr ? batch_size : std::min(batch_size, data.size());
  // Batches that are put together are one, but where rows see each other.
  const int64_t at_once = part != nullptr                  ? one * accumulate
                          : one > data.size() / accumulate ? data.size()
                                                           : one * accumulate;
  shuffle = shuffle && at_once < data.size();  // the mean over all samples has no order
  // Where ranks have rows of their own, these are in order.
  const bool has_all = part == nullptr || part->rows == 0;
  data::BatchSampler sampler(has_all ? data.size() : part->rows, at_once);
  const nn::Graph& graph = model_->description().graph();
  const bool apart = accumulate > 1 && graph.together() != 1 && !slices_;
  check_rows_together(graph, apart ? one : least_together(at_once));
  const int64_t last = sampler.batch_rows(sampler.batches() - 1);  // it may be short
  const int64_t least = std::min(least_together(last), apart ? one : last);
  check_rows_together(graph, apart && last % one > 0 ? last % one : least);
  {
    Region region(RegionKind::other, Zone::kCaller, work(0));
    if (shuffle && order.empty()) {
      sampler.shuffle(options_.seed, static_cast<uint64_t>(epochs_));
    } else if (shuffle) {
      sampler.take(order);
    }
    region.lap(Zone::kData);
    if (part == nullptr || part->first) take_snapshot();
    if (data.sparse != nullptr) {
      const Lock lock(model_->mutex());
      expect(data.sparse);
      make_room(has_all ? most_elements(graph, data, sampler, rows_at_once(at_once))
                        : most_elements(graph, data, rows_at_once(at_once)));
    }
    region.lap(Zone::kSnapshot);
  }
  const bool derives = !derivative_weights.empty();
  require<ValueError>(!derives || !slices_, "dy must not be given where batches are cut in slices");
  if (!has_all) share_part(data, sampler);
  const bool gathers = shuffle || !has_all;
  const bool weighs_apart = heads_ || slices_;
  const std::array<plan::HeadBatch<T>, plan::kDerivativeFigures> from_zero{};
  HeadSums sums(derives ? 2 : heads_ ? heads_->size() : 0);
  double loss_sum = part != nullptr ? part->loss : 0;
  double weight_sum = part != nullptr ? part->weight : 0;
  if (part != nullptr && !part->head_losses.empty()) {
    sums.losses = part->head_losses;
    sums.weights = part->head_weights;
  }
  for (int64_t i = 0; i < sampler.batches(); ++i) {
    const int64_t begin = sampler.batch_begin(i);
    const double lr = lr_of_step();
    std::optional<double> batch_loss;
    {
      const Region region(RegionKind::step, Zone::kCallback, work(sampler.batch_rows(i)));
      const Lock lock(model_->mutex());
      const ops::KernelScope scope;
      plan::Plan<T>& plan = derives ? derivative_plan(at_once, gathers, derivative_weights)
                            : apart ? accumulating_plan(one, gathers)
                                    : training_plan(at_once, gathers);
      const Dataset rows = gathers ? data : data.rows(begin, sampler.batch_rows(i));
      const std::span<const int64_t> chosen = shuffle   ? sampler.batch(i)
                                              : has_all ? std::span<const int64_t>()
                                                        : rows_here(i, sampler.batch_rows(i));
      const BatchRows of{sampler.batch_rows(i), has_all, gathers ? &chosen : nullptr, i};
      const double weights = weighs_apart ? weigh_apart(rows, of)
                             : gathers    ? sum_of_weights(rows, chosen)
                                          : sum_of_weights(rows);
      if (weights > 0) {  // a batch of samples without weight says nothing
        begin_update(lr);
        model_->network().set_gradients_valid(false);
        plan::Batch<T> batch = this->batch(rows, weights);
        batch.draw = draw();
        if (derives) batch.heads = from_zero.data();
        const double loss = run(
            plan, [&] { return gathers ? plan.step(batch, chosen) : plan.step(batch); },
            [&] { return step_in_slices(plan, batch, of); });
        end_update();
        if (!std::isfinite(loss)) diverged(loss, lr);
        batch_loss = loss;
        loss_sum += loss * weights;
        weight_sum += weights;
        const std::vector<double>& found = is_direct_ ? plan.head_sums() : first_sums_;
        if (heads_) heads_->add(sums, found);
        for (size_t f = 0; derives && f < 2; ++f) {
          sums.losses[f] += found[f + 1];
          sums.weights[f] += weights;
        }
      }
      if (part != nullptr) {
        part->samples += sampler.batch_rows(i);
        part->loss = loss_sum;
        part->weight = weight_sum;
        part->head_losses = sums.losses;
        part->head_weights = sums.weights;
      }
      if (i + 1 == sampler.batches() && (part == nullptr || part->last)) {
        check_end(data, at_once, lr, has_all);
        ++epochs_;
        if (averaging_ != nullptr) averaging_->end_epoch(update_, epochs_);
      }
    }
    if (!progress(begin + sampler.batch_rows(i), batch_loss)) break;
    model_->mutex().give_way();
  }
  head_losses_.clear();
  for (size_t h = 0; h < sums.losses.size(); ++h) head_losses_.push_back(sums.mean(h));
  return heads_ ? heads_->total(sums) : loss_sum / weight_sum;
}

template <class T>
void Trainer<T>::take_snapshot() {
  const Lock lock(model_->mutex());
  if (!known_to_be_right()) {
    require<StateError>(
        ops::all_finite<T>(update_.weights, model_->description().extents()),
        "the parameters are not finite, so that no epoch can go on from them: give the "
        "network others with load_state_dict");
    require<StateError>(on_all_ranks(updates_own_, states_finite()),
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
  const std::span<const T> statistics = rule_->statistics();
  statistics_snapshot_.assign(statistics.begin(), statistics.end());
  snapshot_steps_ = steps_;
  snapshot_kept_ = rule_->kept();
}

template <class T>
bool Trainer<T>::all_finite(const T* flat) const {
  return ops::all_finite<T>(flat, update_.extents);
}

template <class T>
bool Trainer<T>::states_finite() const {
  return std::ranges::all_of(state_pointers_, [&](const T* state) { return all_finite(state); }) &&
         ops::all_finite<T>(rule_->statistics());
}

template <class T>
bool Trainer<T>::known_to_be_right() const {
  return right_steps_ == steps_ && right_version_ == model_->network().version();
}

template <class T>
void Trainer<T>::check_end(const Dataset& data, int64_t batch_size, double lr, bool has_all) {
  if (!all_finite(update_.weights)) diverged("a parameter left the finite numbers", lr);
  if (!on_all_ranks(updates_own_, states_finite()))
    diverged("the optimizer's state left the finite numbers", lr);
  const nn::Network<T>& network = model_->network();
  const auto kept = static_cast<size_t>(network.state_size());
  if (!ops::all_finite<T>(std::span<const T>(network.state(), kept))) {
    diverged("what a layer keeps left the finite numbers", lr);
  }
  if (may_overflow()) {
    const Dataset rows = data.rows(0, std::min(batch_size, kDefaultBatch));
    const double weights = heads_ ? heads_->weigh(rows) : sum_of_weights(rows);
    double sum = 0;
    if (weights > 0) {
      const Region region(RegionKind::other, Zone::kStep, validating());
      sum = evaluation_plan(rows.size()).add_losses(batch(rows, weights), 0);
    }
    if (!on_all_ranks(!has_all, std::isfinite(sum))) diverged(sum, lr);
  }
  right_steps_ = steps_;
  right_version_ = model_->network().version();
}

template <class T>
bool Trainer<T>::may_overflow() const {
  // Outputs are about |x| times the product of the layers' Frobenius norms at most, with those of
  // their biases; a loss squares them at most.
  double product = 1;
  for (const nn::Parameter& parameter : model_->description().parameters()) {
    const T sum = ops::sum_squares(std::span<const T>(update_.weights + parameter.offset,
                                                      static_cast<size_t>(parameter.size())));
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
  std::ranges::copy(statistics_snapshot_, rule_->statistics().begin());
  steps_ = snapshot_steps_;
  rule_->set_kept(snapshot_kept_);
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
  throw base::DivergenceError(
      base::message(what, " in epoch ", epochs_ + 1, " at step ", step, " with learning rate ", lr,
                    "; parameters and optimizer are back where the epoch began. ",
                    solver_ == nullptr ? "Try a smaller learning rate or clip_grad_norm."
                                       : "Scale the data, or begin with other weights."));
}

template <class T>
Evaluation Trainer<T>::evaluate(const Dataset& data, int64_t batch_size,
                                base::FunctionRef<bool()> stops) {
  const Lock lock(model_->mutex());
  const parallel::ForkSafeMutex::Reading reading(model_->mutex());
  if (data.sparse != nullptr) expect(data.sparse);
  if (heads_) return evaluate_heads(data, batch_size, stops);
  const int64_t at_once = std::min(batch_size, data.size());
  AccuracyCounter<T> correct(options_.loss.name, model_->description().members());
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
  return {loss_sum / weight_sum, correct.result(), {}};
}

template <class T>
Evaluation Trainer<T>::evaluate_heads(const Dataset& data, int64_t batch_size,
                                      base::FunctionRef<bool()> stops) {
  const int64_t at_once = std::min(batch_size, data.size());
  std::vector<AccuracyCounter<T>> correct;
  for (const plan::HeadLoss& head : options_.loss.heads) correct.emplace_back(head.name);
  Pace pace(data.size(), 2 * model_->description().num_parameters());
  HeadSums sums(heads_->size());
  for (int64_t begin = 0; begin < data.size(); begin += at_once) {
    const Dataset batch = data.rows(begin, std::min(at_once, data.size() - begin));
    heads_->weigh(batch);
    heads_->count(sums);
    for (int64_t done = 0; done < batch.size();) {
      const Dataset rows = batch.rows(done, pace.next(batch.size() - done));
      {
        const Region region(RegionKind::other, Zone::kCaller, validating());
        const ops::KernelScope scope;
        plan::Plan<T>& plan = evaluation_plan(at_once);
        const plan::Batch<T> part = this->batch(rows, heads_->weigh(rows));
        heads_->go_on_from(sums);
        plan.add_losses(part, 0);
        sums.losses = plan.head_sums();
        base::MatrixView<const T> output = plan.output(rows.size());
        for (size_t h = 0; h < heads_->size(); ++h) {
          const nn::Graph& graph = model_->description().graph();
          output.cols = graph.width(graph.heads[h].node);
          correct[h].add(output, rows_of_head(rows, h));
          output.data += output.cols;
        }
      }
      done += rows.size();
      pace.done(rows.size());
      if (begin + done < data.size() && stops()) return {};
    }
  }
  Evaluation found;
  found.loss = heads_->total(sums);
  for (size_t h = 0; h < heads_->size(); ++h) {
    found.heads.push_back({sums.mean(h), correct[h].result()});
  }
  return found;
}

#define GD_INSTANTIATE(T)                                                                     \
  template double Trainer<T>::fit_epoch(const Dataset&, int64_t, bool, Progress, int64_t,     \
                                        const std::vector<double>&, std::span<const int64_t>, \
                                        EpochPart*);                                          \
  template bool Trainer<T>::known_to_be_right() const;                                        \
  template void Trainer<T>::diverged(double, double);                                         \
  template Evaluation Trainer<T>::evaluate(const Dataset&, int64_t, base::FunctionRef<bool()>);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::train

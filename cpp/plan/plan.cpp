#include "plan/plan.hpp"

#include <algorithm>

#include "parallel/partition.hpp"
#include "plan/cost_model.hpp"
#include "profiling/recorder.hpp"

namespace gd::plan {

template <class T>
int64_t Plan<T>::flops(int64_t rows) const {
  return flops_a_row_ * rows + flops_fixed_;
}

template <class T>
Sharing Plan<T>::sharing(int64_t rows) const {
  const int64_t flops = flops_to_share(rows);
  if (by_tiles_) {
    return {workers_for(flops, options_.max_workers), SharedBy::tiles};
  }
  return choose_sharing({rows, flops, flat_size_, part_of(rows)}, options_.max_workers);
}

template <class T>
void Plan<T>::run(size_t first, size_t last, const Batch<T>& batch, parallel::Team& team) {
  const auto body = [&](ops::Worker& worker) {
    for (size_t i = first; i < last; ++i) {
      Operation<T>& operation = *operations_[i];
      operation.run(worker, batch);
      if (operation.barrier_after() && i + 1 < last) worker.barrier();
    }
  };
  if (team.size() == 1) {
    const ops::KernelScope scope;
    ops::Worker alone(profiling::current_lane());
    if (alone.lane() != nullptr) alone.lane()->lap(profiling::zone_id(Zone::kStep));
    body(alone);
    return;
  }
  for (size_t i = first; i < last; ++i) operations_[i]->reset();
  ops::run_collective(team, body);
}

template <class T>
void Plan<T>::run_in_stages(size_t first, size_t last, const Batch<T>& batch,
                            parallel::Team& team) {
  parallel::Team alone;
  while (first < last) {
    size_t end = first;
    bool meets = false;
    do {
      meets = meets || operations_[end]->meets(batch, team.size());
    } while (!operations_[end++]->barrier_after() && end < last);
    if (meets) {
      run(first, end, batch, team.all_here(kPatienceForStage) ? team : alone);
    } else {
      for (size_t i = first; i < end; ++i) operations_[i]->reset();
      ops::offer_collective(team, [&](ops::Worker& worker) {
        for (size_t i = first; i < end; ++i) operations_[i]->run(worker, batch);
      });
    }
    first = end;
  }
}

template <class T>
void Plan<T>::forward(Batch<T> batch) {
  batch.rows_together = batch.rows;
  batch.parameters = network_->values();
  batch.state = network_->state();
  run(forward_begin_, forward_end_, batch, *parallel::acquire_team(workers_by_tiles(batch.rows)));
}

template <class T>
void Plan<T>::backward(Batch<T> batch) {
  batch.rows_together = batch.rows;
  batch.part = part_of(batch.rows);
  batch.parameters = network_->values();
  batch.state = network_->state();
  if (batch.gradients == nullptr) batch.gradients = gradients_;
  run(forward_end_, operations_.size(), batch,
      *parallel::acquire_team(workers_by_tiles(batch.rows)));
}

template <class T>
int64_t Plan<T>::rows_at_once(int64_t begin, int64_t rows) const {
  if (together_ != 1) [[unlikely]]
    return rows_together_at_once(begin, rows);
  return std::min({capacity(), rows - begin, ops::kLongSum - begin % ops::kLongSum});
}

template <class T>
int64_t Plan<T>::rows_together_at_once(int64_t begin, int64_t rows) const {
  const int64_t apart = options_.apart;
  const int64_t end = apart == 0 ? rows : std::min(rows, (begin / apart + 1) * apart);
  const int64_t left = end - begin;
  // What is left over must not be a single row, so that there is room for one more.
  const int64_t most = together_ == 0 ? 0 : (capacity() - 1) / most_rows(together_);
  base::require<base::ValueError>((left <= capacity() || most > 0) && rows <= ops::kLongSum,
                                  "a batch of ", rows,
                                  " rows is more than a layer that sees them together takes");
  return left <= capacity() ? left : most * most_rows(together_);
}

// Sums over a batch begin anew as those of one long matmul do, see ops/gemm.hpp.
template <class T>
bool Plan<T>::goes_on(Place place) {
  if (gradients_ == nullptr || place.begin == 0 || place.begin % ops::kLongSum != 0) {
    return place.begin > 0;
  }
  const bool is_last = place.begin >= place.rows - ops::kLongSum;
  const ops::Extents extents = trained();
  if (place.begin == ops::kLongSum) {
    if (is_last) return true;
    if (sums_.size() == 0) sums_ = network_->make_flat();
    ops::copy_extents<T>(extents, gradients_, sums_.data());
    return false;
  }
  T* const to = is_last ? gradients_ : sums_.data();
  const ops::KernelScope scope;
  for (const parallel::Range& run : extents) {
    const std::span<const T> sum(sums_.data() + run.begin, static_cast<size_t>(run.size()));
    ops::add_parts<T>(sum, gradients_ + run.begin, 0, 1, to + run.begin);
  }
  return is_last;
}

template <class T>
double Plan<T>::step(const Batch<T>& batch) {
  return add_losses(batch, 0) / batch.weight_sum;
}

template <class T>
double Plan<T>::step(const Batch<T>& batch, std::span<const int64_t> indices) {
  return add_losses(batch, indices, 0) / batch.weight_sum;
}

template <class T>
double Plan<T>::add_losses(const Batch<T>& batch, std::span<const int64_t> indices, double start) {
  const auto rows = static_cast<int64_t>(indices.size());
  double sum = start;
  int64_t count = 0;
  for (int64_t begin = 0; begin < rows; begin += count) {
    count = rows_at_once(begin, rows);
    const auto chosen = indices.subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
    sum = run_piece(0, gather_->prepare(batch, chosen), {begin, rows}, sum);
  }
  return sum;
}

template <class T>
double Plan<T>::add_losses(const Batch<T>& batch, double start) {
  double sum = start;
  int64_t count = 0;
  for (int64_t begin = 0; begin < batch.rows; begin += count) {
    count = rows_at_once(begin, batch.rows);
    sum = run_piece(forward_begin_, batch.rows_from(begin, count), {begin, batch.rows}, sum);
  }
  return sum;
}

template <class T>
void Plan<T>::check_gaps() const {
  const auto check = [&](const T* flat, const char* what) {
    if (flat != nullptr) nn::check_gaps(network_->extents(), flat_size_, flat, what);
  };
  check(network_->values(), "parameters");
  check(gradients_, "gradients");
  for (int64_t p = 0; p < partials_; ++p) check(partial_ + p * flat_size_, "gradient of a part");
  if (options_.kind != PlanKind::training) return;
  for (int i = 0; i < options_.rule->states(); ++i) check(options_.update.states[i], "states");
  for (int i = 1; i < replicas_.workers(); ++i) check(replicas_.of(i), "replicas");
}

template <class T>
double Plan<T>::run_piece(size_t first, Batch<T> piece, Place place, double start) {
  const bool is_first = place.begin == 0;
  const bool is_last = place.begin + piece.rows == place.rows;
  piece.rows_together = piece.rows;
  piece.draw.first_row += place.begin;
  piece.part = part_of(place.rows);
  piece.parameters = network_->values();
  piece.state = network_->state();
  piece.gradients = gradients_;
  piece.accumulate = goes_on(place) || (is_first && piece.accumulate);
  const Sharing sharing = this->sharing(piece.rows);
  parallel::Team alone;
  parallel::TeamLease lease;
  parallel::Team* team = &alone;
  bool in_stages = false;
  if (sharing.workers > 1) {
    lease = parallel::acquire_team(sharing.workers);
    const int64_t flops = this->flops(piece.rows);
    in_stages = lease->size() == 2 && sharing.by == SharedBy::tiles && flops >= kLeastFlopsInStages;
    if (in_stages || lease->all_here(patience_for(flops))) team = &*lease;
  }
  const auto run_operations = [&](size_t last) {
    in_stages ? run_in_stages(first, last, piece, *team) : run(first, last, piece, *team);
  };
  const bool by_samples = sharing.by == SharedBy::samples && team->size() > 1;
  if (by_samples && fuses_update_ && is_first && is_last) {
    run_on_replicas(first, piece, *team);
  } else if (by_samples) {
    run_by_samples(first, piece, *team, is_last);
  } else if (fuses_update_ && is_first && is_last) {
    piece.rule = options_.rule;
    piece.update = &options_.update;
    run_operations(update_begin_);
  } else {
    run_operations(is_last ? operations_.size() : update_begin_);
  }
  if (is_last && options_.kind == PlanKind::training) network_->note_change();
  if (nn::checks_gaps) check_gaps();
  if (piece.heads != nullptr) return add_head_losses(piece, is_first, {0, piece.rows});
  const std::span<const T> losses(sample_loss_, static_cast<size_t>(piece.rows));
  return ops::weighted_sum<T>(losses, piece.weights, start);
}

template <class T>
double Plan<T>::add_derivative_losses(const Batch<T>& piece, bool is_first) {
  for (size_t f = 0; f < head_sums_.size(); ++f) {
    const std::span<const T> losses(sample_loss_ + static_cast<int64_t>(f) * capacity(),
                                    static_cast<size_t>(piece.rows));
    const double start = is_first ? piece.heads[f].start : head_sums_[f];
    head_sums_[f] = ops::weighted_sum<T>(losses, piece.weights, start);
  }
  return head_sums_.front();
}

template <class T>
double Plan<T>::add_head_losses(const Batch<T>& piece, bool is_first, parallel::Range rows) {
  if (!options_.derivative_weights.empty()) return add_derivative_losses(piece, is_first);
  double total = 0;
  for (size_t h = 0; h < head_sums_.size(); ++h) {
    const HeadBatch<T>& head = piece.heads[h];
    if (is_first) head_sums_[h] = head.start;
    const T* const own = sample_loss_ + static_cast<int64_t>(h) * capacity() + rows.begin;
    const std::span<const T> losses(own, static_cast<size_t>(rows.size()));
    const int64_t row = (head.is_piece ? 0 : piece.draw.first_row) + rows.begin;
    const T* const weights = head.weights == nullptr ? nullptr : head.weights + row;
    head_sums_[h] = ops::weighted_sum<T>(losses, weights, head_sums_[h]);
    if (head.weight_sum > 0) {
      total += options_.loss.heads[h].weight * (head_sums_[h] / head.weight_sum);
    }
  }
  return total;
}

template <class T>
void Plan<T>::add_slices(const Batch<T>& batch, const std::span<const int64_t>* indices,
                         const Slicing<T>& slicing) {
  Batch<T> piece = indices != nullptr ? gather_->prepare(batch, *indices) : batch;
  piece.rows_together = piece.rows;
  piece.parameters = network_->values();
  piece.state = network_->state();
  piece.gradients = slicing.buffers.front();
  piece.slices = &slicing;
  const size_t first = indices != nullptr ? 0 : forward_begin_;
  run(first, update_begin_, piece, *parallel::acquire_team(workers_by_tiles(piece.rows)));
  sliced_ = piece;
}

template <class T>
double Plan<T>::loss_of(parallel::Range rows) {
  if (sliced_.heads != nullptr) return add_head_losses(sliced_, true, rows);
  const std::span<const T> losses(sample_loss_ + rows.begin, static_cast<size_t>(rows.size()));
  return ops::weighted_sum<T>(
      losses, sliced_.weights == nullptr ? nullptr : sliced_.weights + rows.begin, 0);
}

template class Plan<float>;
template class Plan<double>;

}  // namespace gd::plan

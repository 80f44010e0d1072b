// A step shared by samples: workers take parts of the batch through all layers, each alone, and
// meet to add their gradients and to update.

#include <algorithm>

#include "plan/plan.hpp"
#include "profiling/recorder.hpp"

namespace gd::plan {

template <class T>
parallel::Range Plan<T>::parts_of(const Batch<T>& piece, int worker, int workers) const {
  return parallel::split((piece.rows + piece.part - 1) / piece.part, workers, worker);
}

template <class T>
T* Plan<T>::gradients_of(const Batch<T>& piece, int worker, int workers) const {
  if (worker == 0) return piece.gradients;
  const int64_t first = parts_of(piece, 0, workers).end;  // with a gradient of its own
  return partial_ + (parts_of(piece, worker, workers).begin - first) * flat_size_;
}

template <class T>
void Plan<T>::run_parts(size_t first, const Batch<T>& piece, const ops::Worker& worker,
                        const T* parameters) {
  ops::Worker alone = worker.alone();
  const parallel::Range own = parts_of(piece, worker.index(), worker.count());
  T* const gradients = gradients_of(piece, worker.index(), worker.count());
  for (int64_t p = own.begin; p < own.end; ++p) {
    const int64_t begin = p * piece.part;
    Batch<T> part = piece.rows_from(begin, std::min(piece.part, piece.rows - begin));
    part.first_row = begin;
    part.parameters = parameters;
    if (worker.index() == 0) {  // adds to the whole gradient at once
      part.accumulate = p > 0 || piece.accumulate;
    } else {
      part.accumulate = false;
      part.gradients = gradients + (p - own.begin) * flat_size_;
    }
    for (size_t i = first; i < update_begin_; ++i) operations_[i]->run(alone, part);
  }
}

template <class T>
int64_t Plan<T>::elements_added(int workers) const {
  // Small gradients in four pieces a worker, so that none has much more than another.
  const int64_t share = base::padded<T>(flat_size_ / (4 * workers) + 1);
  return std::clamp(share, kLeastElementsAdded, kMostElementsAdded);
}

template <class T>
template <class Add>
void Plan<T>::add_up(ops::Worker& worker, const Batch<T>& piece, bool updates, Add&& add) {
  const int64_t elements = elements_added(worker.count());
  const int64_t parts = parts_of(piece, worker.count() - 1, worker.count()).end -
                        parts_of(piece, 0, worker.count()).end;
  profiling::Lane* const lane = worker.lane();
  if (lane != nullptr) lane->begin(profiling::zone_id(Zone::kAddParts));
  const int64_t pieces = (flat_size_ + elements - 1) / elements;
  add_queue_.for_each(worker, pieces, [&](int64_t index) {
    alignas(base::kAlignment) T used[kMostElementsAdded];
    const parallel::Range range{index * elements, (index + 1) * elements};
    ops::for_extents(options_.update.extents, range, [&](parallel::Range run) {
      const std::span<T> gradients(piece.gradients + run.begin, static_cast<size_t>(run.size()));
      T* const sum = updates ? used : gradients.data();
      ops::add_parts<T>(gradients, partial_ + run.begin, flat_size_, parts, sum);
      const profiling::InnerTime time(updates ? lane : nullptr);
      add(index, run.begin, gradients, sum);
    });
  });
  if (lane == nullptr) return;
  // Not a part of the arithmetic of a step, but of the way it is shared.
  const profiling::Amount adds{0, flat_size_ * (parts + 2) * int64_t{sizeof(T)}};
  const profiling::Amount update = operations_.back()->cost().of(piece.rows);
  lane->end(adds, updates ? profiling::zone_id(Zone::kUpdate) : profiling::kNoOperation, update);
}

template <class T>
void Plan<T>::run_by_samples(size_t first, const Batch<T>& piece, parallel::Team& team,
                             bool is_last) {
  for (size_t i = update_begin_; i < operations_.size(); ++i) operations_[i]->reset();
  add_queue_.reset();
  ops::run_collective(team, [&](ops::Worker& worker) {
    run_parts(first, piece, worker, piece.parameters);
    worker.barrier();
    const bool updates = is_last && fuses_update_;
    add_up(worker, piece, updates,
           [&](int64_t, int64_t begin, std::span<T> gradients, const T* sum) {
             if (!updates) return;
             options_.rule->update_piece(options_.update, begin, {sum, gradients.size()});
           });
    if (!is_last || updates) return;
    for (size_t i = update_begin_; i < operations_.size(); ++i) {
      worker.barrier();
      operations_[i]->run(worker, piece);
    }
  });
}

template <class T>
void Plan<T>::take_over(ops::Worker& worker, const Batch<T>& batch, const OwnPieces& own,
                        T* parameters) {
  profiling::Lane* const lane = worker.lane();
  if (lane != nullptr) lane->begin(profiling::zone_id(Zone::kShareWeights));
  const int64_t elements = elements_added(worker.count());
  T* const from = gradients_of(batch, worker.index(), worker.count());
  for (int64_t begin = 0, piece = 0; begin < flat_size_; begin += elements, ++piece) {
    if (own.has(piece)) continue;
    const parallel::Range range{begin, begin + elements};
    ops::copy_extents<T>(options_.update.extents, range, from, parameters);
    ops::copy_extents<T>(options_.update.extents, range, parameters,
                         from);  // to own the lines, see Replicas
  }
  if (lane == nullptr) return;
  // Counts once, though every worker has its own part of it.
  lane->did_tiles(worker.index() == 0 ? 1 : 0, 1, worker.index() == 0);
  lane->end({0, 3 * flat_size_ * int64_t{sizeof(T)}});
}

template <class T>
void Plan<T>::run_on_replicas(size_t first, const Batch<T>& batch, parallel::Team& team) {
  const uint64_t version = network_->version();
  add_queue_.reset();
  ops::run_collective(team, [&](ops::Worker& worker) {
    const int index = worker.index();
    T* const parameters = index == 0 ? options_.update.weights : replicas_.of(index);
    if (index > 0) {
      if (replicas_.version(index) != version) {
        ops::copy_extents<T>(network_->extents(), options_.update.weights, parameters);
      }
      replicas_.version(index) = 0;  // until the step is done
    }
    run_parts(first, batch, worker, parameters);
    OwnPieces& own = own_pieces_[static_cast<size_t>(index)];
    own.reset();
    worker.barrier();
    optim::UpdateInput<T> update = options_.update;
    update.weights = parameters;
    add_up(worker, batch, true,
           [&](int64_t piece, int64_t begin, std::span<T> gradients, const T* sum) {
             options_.rule->update_piece(update, begin, {sum, gradients.size()});
             own.add(piece);
             for (int other = 0; other < worker.count(); ++other) {
               if (other == index) continue;
               T* to = gradients_of(batch, other, worker.count()) + begin;
               const int64_t parts = other == 0 ? 1 : parts_of(batch, other, worker.count()).size();
               for (int64_t p = 0; p < parts; ++p, to += flat_size_) {
                 std::copy_n(parameters + begin, gradients.size(), to);
               }
             }
           });
    worker.barrier();
    take_over(worker, batch, own, parameters);
    if (index > 0) replicas_.version(index) = version + 1;  // that of after the step
  });
}

#define GD_INSTANTIATE(T)                                                                \
  template void Plan<T>::run_by_samples(size_t, const Batch<T>&, parallel::Team&, bool); \
  template void Plan<T>::run_on_replicas(size_t, const Batch<T>&, parallel::Team&);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::plan

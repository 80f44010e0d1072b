#pragma once

#include <cstdint>
#include <string>

#include "ops/elementwise.hpp"
#include "plan/batch.hpp"
#include "profiling/lane.hpp"

namespace gd::plan {

using profiling::Zone;

// Arithmetic and traffic: an amount a row and one that does not depend on rows.
struct Cost {
  int64_t flops_a_row = 0;
  int64_t bytes_a_row = 0;
  int64_t flops_fixed = 0;
  int64_t bytes_fixed = 0;
  int64_t flops(int64_t rows) const { return flops_a_row * rows + flops_fixed; }
  int64_t bytes(int64_t rows) const { return bytes_a_row * rows + bytes_fixed; }
  profiling::Amount of(int64_t rows) const { return {flops(rows), bytes(rows)}; }
};

// One thing that the workers of a team do together in every step: all of them or, where they do not
// meet within it, those who come.
template <class T>
class Operation {
 public:
  Operation(Zone zone, Zone phase, int node, int max_workers, Cost cost)
      : zone_(zone), phase_(phase), node_(node), cost_(cost), queue_(max_workers) {}
  virtual ~Operation() = default;

  // Does this worker's part, and records it where the worker is recorded.
  [[gnu::always_inline]] void run(ops::Worker& worker, const Batch<T>& batch) {
    profiling::Lane* const lane = worker.lane();
    if (lane == nullptr) return work(worker, batch);
    lane->begin(id_.id() != profiling::kNoOperation ? id_.id() : profiling::zone_id(zone_));
    work(worker, batch);
    profiling::Amount own = cost_.of(batch.rows);
    if (batch.rule == nullptr) return lane->end(own);
    own.bytes -= unwritten_;
    if (update_id_.id() != profiling::kNoOperation) return lane->end(own, update_id_.id(), update_);
    own.flops += update_.flops;
    own.bytes += update_.bytes;
    lane->end(own);
  }

  Zone zone() const { return zone_; }
  Zone phase() const { return phase_; }
  int node() const { return node_; }  // of the graph; -1 where it belongs to none
  // As recordings show it, with what the rule's pass over updates() parameters costs, if it is done
  // here, and the bytes of the gradient, which then is not written.
  void set_names(const std::string& layer, const std::string& arithmetic) {
    id_ = profiling::OperationNumber({zone_, phase_, layer, arithmetic});
  }
  void set_update(const std::string& layer, const std::string& arithmetic, profiling::Amount cost,
                  int64_t unwritten) {
    update_ = cost;
    unwritten_ = unwritten;
    if (!updates_apart()) return;
    update_id_ = profiling::OperationNumber({Zone::kUpdate, Zone::kUpdate, layer, arithmetic});
  }
  const Cost& cost() const { return cost_; }

  // Whether the next operation reads what this one wrote.
  bool barrier_after() const { return barrier_after_; }
  void set_barrier_after(bool needed) { barrier_after_ = needed; }

  // Whether workers wait for each other within it.
  virtual bool meets(const Batch<T>& /*batch*/, int /*workers*/) const { return false; }

  // Between two runs, by one thread.
  virtual void reset() { queue_.reset(); }

  // How many bfloat16 products it takes for each of a batch of that many rows; 0: it has none.
  virtual int products(int64_t) const { return 0; }
  // How many parameters it makes the gradients of, and updates where the batch asks for that.
  virtual int64_t updates() const { return 0; }
  // Whether it sums over the slices of a batch, where there are several.
  virtual bool sums_slices() const { return false; }
  // Whether that update is long enough to be recorded apart.
  virtual bool updates_apart() const { return false; }

 protected:
  virtual void work(ops::Worker& worker, const Batch<T>& batch) = 0;
  ops::TileQueue& queue() { return queue_; }

 private:
  Zone zone_;
  Zone phase_;
  int node_;
  profiling::OperationNumber id_;
  profiling::OperationNumber update_id_;  // of the update within it
  profiling::Amount update_;
  int64_t unwritten_ = 0;
  Cost cost_;
  bool barrier_after_ = true;
  ops::TileQueue queue_;
};

}  // namespace gd::plan

#pragma once

// Calls that all workers of a team make together. Rooms above take teams, workers and queues from
// here.

#include "kernels/dispatch.hpp"
#include "parallel/team.hpp"
#include "parallel/tile_queue.hpp"

namespace gd::ops {

using parallel::Team;
using parallel::TileQueue;
using parallel::Worker;

// A worker's floating-point mode for as long as kernels run on it.
class KernelScope {
 public:
  KernelScope() : table_(kernels::kernels()), state_(table_.enter()) {}
  ~KernelScope() { table_.leave(state_); }
  KernelScope(const KernelScope&) = delete;
  KernelScope& operator=(const KernelScope&) = delete;

 private:
  const kernels::KernelTable& table_;
  uint64_t state_;
};

// Runs body(worker) on every worker of the team, ready for kernels.
template <class Body>
void run_collective(Team& team, Body&& body) {
  team.run([&](Worker& worker) {
    const KernelScope scope;
    body(worker);
  });
}

// The same by those who come in time, see Team::offer.
template <class Body>
void offer_collective(Team& team, Body&& body) {
  team.offer([&](Worker& worker) {
    const KernelScope scope;
    body(worker);
  });
}

}  // namespace gd::ops

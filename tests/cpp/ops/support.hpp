#pragma once

#include <vector>

#include "cpp/base/support.hpp"
#include "ops/collective.hpp"

namespace gd::testing {

inline constexpr int kWorkerCounts[] = {1, 2, 3, 5};

// body(worker, queue) on a team of that size, with a queue of its own, ready for kernels.
template <class Body>
void on_team(int workers, Body body) {
  ops::TileQueue queue(workers);
  ops::run_collective(*parallel::acquire_team(workers),
                      [&](ops::Worker& worker) { body(worker, queue); });
}

// body.template operator()<T>() for both types.
template <class Body>
void for_both_types(Body body) {
  body.template operator()<float>();
  body.template operator()<double>();
}

}  // namespace gd::testing

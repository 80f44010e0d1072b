#include "plan/cost_model.hpp"

#include <algorithm>

namespace gd::plan {

namespace {

// Below this share a second worker costs more in barriers and in lines that travel between cores
// than it takes over. Measured on two cores with 10-64-64-10 and 10-128-128-10 at batch 128.
constexpr int64_t kLeastFlopsAWorker = 5'000'000;

}  // namespace

int workers_for(int64_t flops, int most) {
  return static_cast<int>(std::clamp<int64_t>(flops / kLeastFlopsAWorker, 1, most));
}

}  // namespace gd::plan

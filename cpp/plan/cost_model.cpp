#include "plan/cost_model.hpp"

#include <algorithm>

namespace gd::plan {

namespace {

// Below this share a second worker costs more in barriers and in lines that travel between cores
// than it takes over. Measured on two cores with 10-64-64-10 and 10-128-128-10 at batch 128.
constexpr int64_t kLeastFlopsAWorker = 5'000'000;
// By samples workers meet only once.
constexpr int64_t kLeastFlopsAWorkerBySamples = 300'000;
// Networks above this would spend more on adding whole gradients than on meeting at each layer.
constexpr int64_t kMostParametersBySamples = 96'000;

// Of an update: elements read and written, about five microseconds of them.
constexpr int64_t kLeastElementsAWorker = 1 << 17;

}  // namespace

Sharing choose_sharing(const StepShape& step, int most) {
  const int64_t parts = (step.rows + step.part - 1) / step.part;
  if (parts > 1 && step.parameters <= kMostParametersBySamples) {
    const int64_t limit = std::min<int64_t>(parts, most);
    const int64_t workers = std::clamp<int64_t>(step.flops / kLeastFlopsAWorkerBySamples, 1, limit);
    return {static_cast<int>(workers), SharedBy::samples};
  }
  return {workers_for(step.flops, most), SharedBy::tiles};
}

int update_workers(int64_t size, int states, int most) {
  const int64_t arrays = 3 + 2 * states;  // read and written, gradients read
  return static_cast<int>(std::clamp<int64_t>(size * arrays / kLeastElementsAWorker, 1, most));
}

int workers_for(int64_t flops, int most) {
  return static_cast<int>(std::clamp<int64_t>(flops / kLeastFlopsAWorker, 1, most));
}

}  // namespace gd::plan

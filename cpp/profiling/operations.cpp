#include "profiling/operations.hpp"

#include <limits>
#include <mutex>

namespace gd::profiling {

namespace {

// The phase of a zone that no plan gives another one.
Zone phase_of(Zone zone) {
  switch (zone) {
    case Zone::kSleep:
      return Zone::kWait;
    case Zone::kGather:
      return Zone::kData;
    case Zone::kSnapshot:
      return Zone::kStep;
    case Zone::kDenseForward:
    case Zone::kActivationForward:
      return Zone::kForward;
    case Zone::kActivationBackward:
    case Zone::kWeightGradient:
    case Zone::kBiasGradient:
    case Zone::kInputGradient:
    case Zone::kAddParts:
      return Zone::kBackward;
    case Zone::kClip:
      return Zone::kUpdate;
    default:
      return zone;
  }
}

struct Registry {
  std::mutex mutex;
  std::vector<NamedOperation> known;

  Registry() {
    for (const Zone zone : kZones) known.push_back({zone, phase_of(zone), "", ""});
  }
};

Registry& registry() {
  static Registry& all = *new Registry;  // never destroyed: threads may outlive main
  return all;
}

}  // namespace

OperationId operation_id(const NamedOperation& operation) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (size_t i = 0; i < all.known.size(); ++i) {
    if (all.known[i] == operation) return static_cast<OperationId>(i + 1);
  }
  if (all.known.size() >= std::numeric_limits<OperationId>::max()) return zone_id(operation.zone);
  all.known.push_back(operation);
  return static_cast<OperationId>(all.known.size());
}

std::vector<NamedOperation> named_operations() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  return all.known;
}

}  // namespace gd::profiling

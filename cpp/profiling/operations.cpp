#include "profiling/operations.hpp"

#include <iterator>
#include <limits>
#include <mutex>
#include <unordered_map>

#include "base/on_fork.hpp"
#include "profiling/recorder.hpp"

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

// Numbers that nobody has any more are given again, but not while there are events with them.
struct Registry {
  std::mutex mutex;
  std::vector<NamedOperation> known;
  std::vector<uint32_t> users;  // of each number
  std::unordered_map<std::string, OperationId> numbers;
  std::vector<OperationId> unused;  // may hold some that are in use again

  Registry() {
    for (const Zone zone : kZones) add({zone, phase_of(zone), "", ""}, 1);
    base::on_fork(before_fork, after_fork, after_fork);
  }

  OperationId add(const NamedOperation& operation, uint32_t count) {
    known.push_back(operation);
    users.push_back(count);
    const auto id = static_cast<OperationId>(known.size());
    numbers.emplace(key(operation), id);
    return id;
  }

  // In the place of one that nobody uses; kNoOperation where there is none.
  OperationId replace(const NamedOperation& operation) {
    while (!unused.empty()) {
      const OperationId id = unused.back();
      unused.pop_back();
      if (users[id - 1] != 0) continue;
      numbers.erase(key(known[id - 1]));
      known[id - 1] = operation;
      users[id - 1] = 1;
      numbers.emplace(key(operation), id);
      return id;
    }
    return kNoOperation;
  }

  static std::string key(const NamedOperation& operation) {
    std::string text = {static_cast<char>(operation.zone), static_cast<char>(operation.phase)};
    return text + operation.layer + '\0' + operation.arithmetic;
  }

  static void before_fork();
  static void after_fork();
};

Registry& registry() {
  static Registry& all = *new Registry;  // never destroyed: threads may outlive main
  return all;
}

void Registry::before_fork() { registry().mutex.lock(); }
void Registry::after_fork() { registry().mutex.unlock(); }

}  // namespace

OperationNumber::OperationNumber(const NamedOperation& operation) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  if (const auto found = all.numbers.find(Registry::key(operation)); found != all.numbers.end()) {
    id_ = found->second;
    ++all.users[id_ - 1];
    return;
  }
  if (Recorder::idle()) id_ = all.replace(operation);
  if (id_ != kNoOperation) return;
  const bool full = all.known.size() >= std::numeric_limits<OperationId>::max();
  id_ = full ? zone_id(operation.zone) : all.add(operation, 1);
}

OperationNumber::~OperationNumber() {
  if (id_ == kNoOperation || id_ <= std::size(kZones)) return;
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  if (--all.users[id_ - 1] == 0) all.unused.push_back(id_);
}

std::vector<NamedOperation> named_operations() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  return all.known;
}

}  // namespace gd::profiling

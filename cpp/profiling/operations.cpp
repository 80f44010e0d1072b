#include "profiling/operations.hpp"

#include <iterator>

#include "base/on_fork.hpp"
#include "profiling/recorder.hpp"

namespace gd::profiling {

namespace {

class Operations : public Numbering<NamedOperation> {
 public:
  static Operations& instance() {
    static Operations& all = *new Operations;  // never destroyed: threads may outlive main
    return all;
  }

 private:
  Operations() {
    for (const Zone zone : kZones) take({zone, phase_of(zone), "", ""}, false);
    base::on_fork([] { instance().lock(); }, [] { instance().unlock(); },
                  [] { instance().unlock(); });
  }
};

}  // namespace

Zone phase_of(Zone zone) {
  switch (zone) {
    case Zone::kSleep:
    case Zone::kYield:
      return Zone::kWait;
    case Zone::kGather:
    case Zone::kConvert:
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
    case Zone::kShareWeights:
    case Zone::kClip:
      return Zone::kUpdate;
    case Zone::kNumericalGradient:
      return Zone::kChecks;
    default:
      return zone;
  }
}

std::string NamedOperation::key() const {
  const std::string text = {static_cast<char>(zone), static_cast<char>(phase)};
  return text + layer + '\0' + arithmetic;
}

OperationNumber::OperationNumber(const NamedOperation& operation)
    : id_(Operations::instance().take(operation, !Recorder::idle())) {
  if (id_ == kNoOperation) id_ = zone_id(operation.zone);
}

OperationNumber::~OperationNumber() {
  if (id_ == kNoOperation || id_ <= std::size(kZones)) return;
  Operations::instance().give_back(id_);
}

std::vector<NamedOperation> named_operations() { return Operations::instance().all(); }

}  // namespace gd::profiling

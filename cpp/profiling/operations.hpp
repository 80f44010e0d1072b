#pragma once

// What threads do, by number.

#include <string>
#include <utility>
#include <vector>

#include "profiling/numbering.hpp"
#include "profiling/zones.hpp"

namespace gd::profiling {

using OperationId = Number;

inline constexpr OperationId kNoOperation = kNoNumber;

struct NamedOperation {
  Zone zone;
  Zone phase;
  std::string layer;       // its name, empty where it belongs to none
  std::string arithmetic;  // of a plan's: what it multiplies and adds in, such as "float32"

  std::string key() const;
  bool operator==(const NamedOperation&) const = default;
};

// The phase of a zone that nobody gives another one.
Zone phase_of(Zone zone);

// The number of an operation, from 1 on; the same for equal ones, and nobody else's while one of
// them lives. Where 65,535 live already, that of the zone without layer. On any thread.
class OperationNumber {
 public:
  OperationNumber() = default;  // kNoOperation
  explicit OperationNumber(const NamedOperation& operation);
  OperationNumber(OperationNumber&& other) noexcept : id_(std::exchange(other.id_, kNoOperation)) {}
  OperationNumber& operator=(OperationNumber&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~OperationNumber();

  OperationId id() const { return id_; }

 private:
  OperationId id_ = kNoOperation;
};

// The zones that belong to no layer: numbers known without asking.
constexpr OperationId zone_id(Zone zone) { return static_cast<OperationId>(zone) + 1; }

// All that have a number, and some that had one; that of number n stands at n - 1.
std::vector<NamedOperation> named_operations();

}  // namespace gd::profiling

#pragma once

// What events name: operations by number, so that an event needs two bytes for them.

#include <cstdint>
#include <string>
#include <vector>

#include "profiling/zones.hpp"

namespace gd::profiling {

using OperationId = uint16_t;

inline constexpr OperationId kNoOperation = 0;

struct NamedOperation {
  Zone zone;
  Zone phase;
  std::string layer;       // its name, empty where it belongs to none
  std::string arithmetic;  // of a plan's: what it multiplies and adds in, such as "float32"
  bool operator==(const NamedOperation&) const = default;
};

// The number of that operation, from 1 on; the same for equal ones. Where 65,535 are known already,
// the one of the zone without layer. May be called by any thread.
OperationId operation_id(const NamedOperation& operation);

// The zones that belong to no layer: numbers known without asking.
constexpr OperationId zone_id(Zone zone) { return static_cast<OperationId>(zone) + 1; }

// All so far; that of number n stands at n - 1.
std::vector<NamedOperation> named_operations();

}  // namespace gd::profiling

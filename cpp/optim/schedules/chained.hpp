#pragma once

#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// Each makes of what the one before it makes
struct chained {
  static constexpr const char* name = "chained";
  static constexpr const char* parameters = "schedules";
  static bool takes(size_t numbers, size_t parts) { return numbers == 0 && parts > 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    for (const auto& part : given.parts) base = part->value(base, t);
    return base;
  }
};

}  // namespace gd::optim::schedules

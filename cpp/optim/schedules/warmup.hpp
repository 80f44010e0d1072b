#pragma once

#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base (start + (1 - start) t / duration), then what follows, with its time from 0, or base
struct warmup {
  static constexpr const char* name = "warmup";
  static constexpr const char* parameters = "duration, start, and what follows";
  static bool takes(size_t numbers, size_t parts) { return numbers == 2 && parts <= 1; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    const int64_t duration = given.whole(0);
    if (t < duration) {
      const double share = static_cast<double>(t) / static_cast<double>(duration);
      return base * (given[1] + (1.0 - given[1]) * share);
    }
    return given.parts.empty() ? base : given.parts[0]->value(base, t - duration);
  }
};

}  // namespace gd::optim::schedules

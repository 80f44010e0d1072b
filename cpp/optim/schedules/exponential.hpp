#pragma once

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base gamma^t
struct exponential {
  static constexpr const char* name = "exponential";
  static constexpr const char* parameters = "gamma";
  static bool takes(size_t numbers, size_t parts) { return numbers == 1 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    return base * base::power(given[0], t);
  }
};

}  // namespace gd::optim::schedules

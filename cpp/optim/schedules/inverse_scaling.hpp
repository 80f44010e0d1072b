#pragma once

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base / (1 + scale t)^power
struct inverse_scaling {
  static constexpr const char* name = "inverse_scaling";
  static constexpr const char* parameters = "power, scale";
  static bool takes(size_t numbers, size_t parts) { return numbers == 2 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    return base / base::raise(1.0 + given[1] * static_cast<double>(t), given[0]);
  }
};

}  // namespace gd::optim::schedules

#pragma once

#include <algorithm>

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base until share x total, then base (end + (1 - end) (1 + cos) / 2) down to base end at total
struct flat_cos {
  static constexpr const char* name = "flat_cos";
  static constexpr const char* parameters = "total, share, end";
  static bool takes(size_t numbers, size_t parts) { return numbers == 3 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    const double begin = given[0] * given[1];
    const double time = std::min(static_cast<double>(t), given[0]);
    if (time <= begin) return base;
    const double share = (time - begin) / (given[0] - begin);
    return base * (given[2] + (1.0 - given[2]) * (0.5 + 0.5 * base::cos_two_pi(0.5 * share)));
  }
};

}  // namespace gd::optim::schedules

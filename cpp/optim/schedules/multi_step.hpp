#pragma once

#include <algorithm>

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base gamma^n, where n milestones are not after t
struct multi_step {
  static constexpr const char* name = "multi_step";
  static constexpr const char* parameters = "gamma and milestones in order";
  static bool takes(size_t numbers, size_t parts) { return numbers > 1 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    const auto passed =
        std::upper_bound(given.numbers.begin() + 1, given.numbers.end(), static_cast<double>(t));
    return base * base::power(given[0], passed - given.numbers.begin() - 1);
  }
};

}  // namespace gd::optim::schedules

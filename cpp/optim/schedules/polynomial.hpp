#pragma once

#include <algorithm>

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base (1 - t / duration)^power, and 0 from there on
struct polynomial {
  static constexpr const char* name = "polynomial";
  static constexpr const char* parameters = "duration, power";
  static bool takes(size_t numbers, size_t parts) { return numbers == 2 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    const double left = 1.0 - std::min(static_cast<double>(t) / given[0], 1.0);
    return base * base::raise(left, given[1]);
  }
};

}  // namespace gd::optim::schedules

#pragma once

#include <algorithm>

#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base (start + (end - start) t / duration), and base end from there on
struct linear {
  static constexpr const char* name = "linear";
  static constexpr const char* parameters = "start, end, duration";
  static bool takes(size_t numbers, size_t parts) { return numbers == 3 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    const double share = std::min(static_cast<double>(t) / given[2], 1.0);
    return base * (given[0] + (given[1] - given[0]) * share);
  }
};

}  // namespace gd::optim::schedules

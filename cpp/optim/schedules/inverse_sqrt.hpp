#pragma once

#include <cmath>

#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base / sqrt(1 + t / timescale)
struct inverse_sqrt {
  static constexpr const char* name = "inverse_sqrt";
  static constexpr const char* parameters = "timescale";
  static bool takes(size_t numbers, size_t parts) { return numbers == 1 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    return base / std::sqrt(1.0 + static_cast<double>(t) / given[0]);
  }
};

}  // namespace gd::optim::schedules

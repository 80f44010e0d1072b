#pragma once

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base gamma^floor(t / size)
struct step {
  static constexpr const char* name = "step";
  static constexpr const char* parameters = "size, gamma";
  static bool takes(size_t numbers, size_t parts) { return numbers == 2 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    return base * base::power(given[1], t / given.whole(0));
  }
};

}  // namespace gd::optim::schedules

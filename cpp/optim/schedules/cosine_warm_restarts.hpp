#pragma once

#include <cstdint>

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// least + (base - least) (1 + cos(pi c / d)) / 2, where c is the time since the last restart and
// d how long it is from there to the next: `first`, then each `growth` times the one before
struct cosine_warm_restarts {
  static constexpr const char* name = "cosine_warm_restarts";
  static constexpr const char* parameters = "first, growth, least";
  static bool takes(size_t numbers, size_t parts) { return numbers == 3 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    int64_t duration = given.whole(0);
    const int64_t growth = given.whole(1);
    if (growth == 1) t %= duration;
    while (t >= duration) {
      t -= duration;
      // Longer than any run: times are below 2^63.
      if (duration > INT64_MAX / growth) break;
      duration *= growth;
    }
    const double share = static_cast<double>(t) / static_cast<double>(duration);
    return given[2] + (base - given[2]) * (0.5 + 0.5 * base::cos_two_pi(0.5 * share));
  }
};

}  // namespace gd::optim::schedules

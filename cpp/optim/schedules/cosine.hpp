#pragma once

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// least + (base - least) (1 + cos(pi t / duration)) / 2; after `duration` that is least, or where
// periodic it rises again
struct cosine {
  static constexpr const char* name = "cosine";
  static constexpr const char* parameters = "duration, least, periodic";
  static bool takes(size_t numbers, size_t parts) { return numbers == 3 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    double share = static_cast<double>(t) / given[0];
    if (given[2] != 0) {
      share = static_cast<double>(t % (2 * given.whole(0))) / given[0];  // of half a turn
    } else if (share > 1) {
      share = 1;
    }
    return given[1] + (base - given[1]) * (0.5 + 0.5 * base::cos_two_pi(0.5 * share));
  }
};

}  // namespace gd::optim::schedules

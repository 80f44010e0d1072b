#pragma once

#include <algorithm>
#include <cmath>

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base (1 - cos(2 pi log2(1 + (2^cycles - 1) t / total))) / 2, and 0 from total on
struct coslog {
  static constexpr const char* name = "coslog";
  static constexpr const char* parameters = "total, cycles";
  static bool takes(size_t numbers, size_t parts) { return numbers == 2 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    if (static_cast<double>(t) >= given[0]) return 0;
    const double share = static_cast<double>(t) / given[0];
    const double most = base::power(2.0, given.whole(1));
    const double turns = base::log(1.0 + (most - 1.0) * share) / 0.6931471805599453;
    const double turn = std::min(turns - std::floor(turns), 1.0);
    return base * (0.5 - 0.5 * base::cos_two_pi(turn));
  }
};

}  // namespace gd::optim::schedules

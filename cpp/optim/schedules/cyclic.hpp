#pragma once

#include <cmath>

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base + (most - base) height(t), where height rises from 0 to 1 in `up` and falls back in `down`,
// again and again; times 1 / 2^cycle where `decay` is 1, times gamma^t where it is 2. Where `from`
// is no NaN, base is that.
struct cyclic {
  static constexpr const char* name = "cyclic";
  static constexpr const char* parameters = "most, up, down, decay, gamma, from";
  static bool takes(size_t numbers, size_t parts) { return numbers == 6 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    const int64_t up = given.whole(1);
    const int64_t down = given.whole(2);
    const int64_t cycle = t / (up + down);
    const int64_t at = t % (up + down);
    double height = at <= up ? static_cast<double>(at) / static_cast<double>(up)
                             : static_cast<double>(up + down - at) / static_cast<double>(down);
    if (given[3] == 1) height *= base::power(0.5, cycle);
    if (given[3] == 2) height *= base::power(given[4], t);
    if (!std::isnan(given[5])) base = given[5];
    return base + (given[0] - base) * height;
  }
};

}  // namespace gd::optim::schedules

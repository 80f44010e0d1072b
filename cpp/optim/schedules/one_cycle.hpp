#pragma once

#include <algorithm>

#include "base/scalar_math.hpp"
#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// From `first` to `most` at time share x total - 1, then to `last` at total - 1, by cosines or
// linearly; in three phases back to `first` in as much time as it rose, then to `last`. The three
// are of base, or what is meant where `absolute`.
struct one_cycle {
  static constexpr const char* name = "one_cycle";
  static constexpr const char* parameters =
      "total, share, is_linear, three_phase, first, most, last, absolute";
  static bool takes(size_t numbers, size_t parts) { return numbers == 8 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    const double unit = given[7] != 0 ? 1.0 : base;
    const double first = unit * given[4];
    const double most = unit * given[5];
    const double last = unit * given[6];
    const auto between = [&](double from, double to, double begin, double end) {
      const double share =
          end > begin ? std::min((static_cast<double>(t) - begin) / (end - begin), 1.0) : 1.0;
      if (given[2] != 0) return from + (to - from) * share;
      return to + (from - to) * (0.5 + 0.5 * base::cos_two_pi(0.5 * share));
    };
    const double end = given[0] - 1.0;
    const double peak = std::max(given[1] * given[0] - 1.0, 0.0);
    const double time = static_cast<double>(t);
    if (time < peak) return between(first, most, 0.0, peak);
    if (time == peak) return most;
    if (given[3] == 0) return between(most, last, peak, end);
    const double back = std::max(2.0 * given[1] * given[0] - 2.0, peak);
    return time <= back ? between(most, first, peak, back) : between(first, last, back, end);
  }
};

}  // namespace gd::optim::schedules

#pragma once

#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base times a factor that points (time, factor) tell, in order: the first one's before it, the
// last one's after it; between two what lies on the line, or where `holds` that of the one before
struct piecewise {
  static constexpr const char* name = "piecewise";
  static constexpr const char* parameters = "holds, then times and factors in turn";
  static bool takes(size_t numbers, size_t parts) {
    return numbers >= 3 && numbers % 2 == 1 && parts == 0;
  }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    const double time = static_cast<double>(t);
    const size_t count = given.numbers.size() / 2;
    const auto when = [&](size_t i) { return given[1 + 2 * i]; };
    const auto factor = [&](size_t i) { return given[2 + 2 * i]; };
    size_t after = 0;
    while (after < count && when(after) <= time) ++after;
    if (after == 0) return base * factor(0);
    if (after == count || given[0] != 0) return base * factor(after - 1);
    const double share = (time - when(after - 1)) / (when(after) - when(after - 1));
    return base * (factor(after - 1) + (factor(after) - factor(after - 1)) * share);
  }
};

}  // namespace gd::optim::schedules

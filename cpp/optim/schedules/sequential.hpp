#pragma once

#include <algorithm>

#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// One schedule up to each milestone, each with its time from 0
struct sequential {
  static constexpr const char* name = "sequential";
  static constexpr const char* parameters = "milestones in order, and one schedule more";
  static bool takes(size_t numbers, size_t parts) { return numbers > 0 && parts == numbers + 1; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    const auto passed =
        std::upper_bound(given.numbers.begin(), given.numbers.end(), static_cast<double>(t));
    const auto which = static_cast<size_t>(passed - given.numbers.begin());
    return given.parts[which]->value(base, which == 0 ? t : t - given.whole(which - 1));
  }
};

}  // namespace gd::optim::schedules

#pragma once

#include "optim/schedule.hpp"

namespace gd::optim::schedules {

// base factor until `duration`, then base
struct constant {
  static constexpr const char* name = "constant";
  static constexpr const char* parameters = "factor, duration";
  static bool takes(size_t numbers, size_t parts) { return numbers == 2 && parts == 0; }

  static double value(const ScheduleArguments& given, double base, int64_t t) {
    return t < given.whole(1) ? base * given[0] : base;
  }
};

}  // namespace gd::optim::schedules

#pragma once

// How a hyperparameter goes on from where it starts, as a function of time alone: time is a whole
// number of epochs or of steps, 0 at the beginning.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/function_ref.hpp"

namespace gd::optim {

enum class ScheduleUnit : uint8_t { epoch, step };

class Schedule {
 public:
  virtual ~Schedule() = default;
  // The value at time t, for one that starts from `base`.
  virtual double value(double base, int64_t t) const = 0;
  // Calls it with this schedule and all within it.
  virtual void walk(base::FunctionRef<void(Schedule&)> visitor) { visitor(*this); }
};

using Schedules = std::vector<std::unique_ptr<Schedule>>;

// What a schedule of schedules/ was made of.
struct ScheduleArguments {
  std::vector<double> numbers;
  Schedules parts;

  double operator[](size_t i) const { return numbers[i]; }
  int64_t whole(size_t i) const { return static_cast<int64_t>(numbers[i]); }
};

// The schedule of that name, see schedules/. ValueError for an unknown name or a wrong number of
// either.
std::unique_ptr<Schedule> make_schedule(const std::string& name, ScheduleArguments arguments);

}  // namespace gd::optim

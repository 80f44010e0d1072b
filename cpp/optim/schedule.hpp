#pragma once

// How the learning rate goes on from where it starts, as a function of time alone: time is a whole
// number of epochs or of steps, 0 at the beginning.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gd::optim {

enum class ScheduleUnit : uint8_t { epoch, step };

class Schedule {
 public:
  virtual ~Schedule() = default;
  // The rate at time t, for a rate that starts from `base`.
  virtual double rate(double base, int64_t t) const = 0;
};

// "constant", "step", "exponential", "cosine" or "warmup", with its parameters in order.
struct ScheduleDescription {
  std::string name;
  std::vector<double> parameters;
};

// A warm-up is followed by the rest of the list, for which time begins when it ends; nothing else
// may stand before the last. ValueError for an unknown name or a wrong number of parameters.
std::unique_ptr<Schedule> make_schedule(const std::vector<ScheduleDescription>& parts);

}  // namespace gd::optim

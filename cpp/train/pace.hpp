#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "kernels/dispatch.hpp"

namespace gd::train {

// How much of a long call is done at a time, so that it can look up between two pieces (see whether
// it is to stop) some twenty times a second. What comes out must not depend on the pieces.
class Pace {
 public:
  // Of `units` that take so many operations each.
  Pace(int64_t units, int64_t flops_each)
      : left_(units), at_once_(std::max<int64_t>(1, first() / std::max<int64_t>(1, flops_each))) {
    if (at_once_ < left_) begun_ = Clock::now();
  }

  // Operations that are done at once before it is known how fast they are: some milliseconds of
  // one core with vectors, a tenth of a second without.
  static int64_t first() {
    const bool scalar = std::string_view(kernels::kernels().isa) == "scalar";
    return int64_t{1} << (scalar ? 28 : 30);
  }

  // Of the next piece, none of more than `most`; 0: all is done.
  int64_t next(int64_t most) const { return std::min({left_, at_once_, most}); }

  void done(int64_t units) {
    left_ -= units;
    if (left_ == 0) return;
    const auto now = Clock::now();
    const std::chrono::duration<double> taken = now - begun_;
    begun_ = now;
    const double fitting = static_cast<double>(units) * kSeconds / std::max(taken.count(), 1e-6);
    const double most = static_cast<double>(units) * 8;
    at_once_ = std::max<int64_t>(1, static_cast<int64_t>(std::min(fitting, most)));
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr double kSeconds = 0.04;

  int64_t left_;
  int64_t at_once_;
  Clock::time_point begun_;
};

// Between two pieces: true stops the call.
struct NeverStops {
  bool operator()() const { return false; }
};

}  // namespace gd::train

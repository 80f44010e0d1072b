#pragma once

// What Python sees of an epoch while it runs.

#include <chrono>
#include <optional>

#include "bindings/gil.hpp"

namespace gd::bindings {

// Between two steps: at most 20 times a second takes the GIL, lets Python see signals and tells the
// progress; tells `on_batch`, if there is one, of each batch and its loss, and stops the epoch
// where that returns False. A Python error stops the epoch and is raised after it.
class ProgressCall {
 public:
  ProgressCall(py::object callable, py::object on_batch, int64_t samples)
      : callable_(std::move(callable)),
        on_batch_(std::move(on_batch)),
        each_(!on_batch_.is_none()),
        samples_(samples) {}

  bool operator()(int64_t done, std::optional<double> loss) {
    const auto now = Clock::now();
    const bool due = done >= samples_ || now - last_ >= kInterval;
    const bool told = each_ && loss.has_value();
    if (!due && !told) return true;
    const WithGil gil;
    try {
      if (told && !called(on_batch_, py::float_(*loss)).cast<bool>()) return false;
    } catch (...) {
      error_ = std::current_exception();
      return false;
    }
    if (!due) return true;
    last_ = now;
    if (python_call([] { return PyErr_CheckSignals(); }) != 0) {
      error_ = std::make_exception_ptr(py::error_already_set());
      return false;
    }
    try {
      if (!callable_.is_none()) called(callable_, py::int_(done));
    } catch (...) {
      error_ = std::current_exception();
      return false;
    }
    return true;
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kInterval = std::chrono::milliseconds(50);

  py::object callable_;
  py::object on_batch_;
  bool each_;
  int64_t samples_;
  Clock::time_point last_ = Clock::now();
  std::exception_ptr error_;
};

}  // namespace gd::bindings

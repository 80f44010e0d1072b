#pragma once

// Python's lock (GIL) and its signals, also at the interpreter's end: there Python ends any other
// thread that wants the lock, by an unwinding of its stack that C++ must not let pass through
// destructors. Such a thread stays where it is; the process ends without it.

#include <pybind11/pybind11.h>

#include <chrono>
#include <exception>
#include <optional>
#include <thread>

#include "profiling/recorder.hpp"

namespace gd::bindings {

namespace py = pybind11;

[[noreturn]] inline void stay_for_ever() noexcept {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

// A call of Python's functions in C, which may want the lock back: nothing of C++ is within it that
// would be unwound.
template <class F>
auto python_call(F&& f) {
  try {
    return f();
  } catch (...) {  // the unwinding: Python's own errors are no exceptions of C++
    stay_for_ever();
  }
}

// Waits for the lock by `f`, and tells a recording of a wait that is worth it.
template <class F>
auto recorded_wait(F&& f) {
  constexpr uint64_t kLeastTicks = 10'000;
  if (!profiling::Recorder::on()) return python_call(f);
  const uint64_t since = profiling::ticks();
  struct Told {
    uint64_t since;
    ~Told() {
      if (profiling::ticks() - since < kLeastTicks) return;
      profiling::Recorder::instance().mark_since(
          since, profiling::Zone::kStep, {profiling::Zone::kGil, profiling::Zone::kGil, "", ""});
    }
  } const told{since};
  return python_call(f);
}

// Without the lock from here to the end of the scope.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() {
    recorded_wait([&] { PyEval_RestoreThread(state_); });
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_;
};

// With it, on a thread of Python's that may have it or not.
class WithGil {
 public:
  WithGil() : state_(recorded_wait([] { return PyGILState_Ensure(); })) {}
  ~WithGil() { PyGILState_Release(state_); }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  PyGILState_STATE state_;
};

// What may wait for another thread of ours must not keep Python's other threads waiting.
template <class F>
auto without_gil(F&& f) {
  const WithoutGil released;
  return f();
}

// function(arguments...), with the lock held. Who calls Python by pybind11's operators has C++
// within the call.
template <class... Arguments>
py::object called(const py::object& function, const Arguments&... arguments) {
  PyObject* const result = python_call(
      [&] { return PyObject_CallFunctionObjArgs(function.ptr(), arguments.ptr()..., nullptr); });
  if (result == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(result);
}

// function(**keywords)
inline py::object called_with(const py::object& function, const py::dict& keywords) {
  const py::tuple none;
  PyObject* const result =
      python_call([&] { return PyObject_Call(function.ptr(), none.ptr(), keywords.ptr()); });
  if (result == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(result);
}

// In a long call without the lock: lets Python see signals some twenty times a second. True: a
// handler raised, so the call is to end and its caller to rethrow() with the lock held.
class Interrupts {
 public:
  bool operator()() {
    const auto now = Clock::now();
    if (now - last_ < kInterval) return false;
    last_ = now;
    return look();
  }

  // Now. Handlers run on the main thread alone; others need not wait for the lock.
  bool look() {
    if (error_) return true;
    if (!on_main_thread()) return false;
    const WithGil gil;
    if (python_call([] { return PyErr_CheckSignals(); }) != 0) error_.emplace();
    return error_.has_value();
  }

  void rethrow() {
    if (error_) throw *error_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kInterval = std::chrono::milliseconds(50);

  static bool on_main_thread() {
#if defined(__linux__)
    return gettid() == getpid();
#else
    return true;  // Python asks itself
#endif
  }

  Clock::time_point last_ = Clock::now();
  std::optional<py::error_already_set> error_;
};

}  // namespace gd::bindings

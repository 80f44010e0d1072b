#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "base/check.hpp"
#include "bindings/bind.hpp"
#include "bindings/gil.hpp"
#include "profiling/recorder.hpp"

namespace gd::bindings {

namespace py = pybind11;

namespace {

// What Python sees of an event.
struct EventRow {
  int64_t begin;  // nanoseconds since the recording began
  int64_t end;
  int64_t flops;
  int64_t bytes;
  uint32_t step;
  uint16_t operation;  // numbers as in the list of operations; 0: none
  uint16_t waits_for;
  uint16_t thread;  // index into the list of threads
};

profiling::Zone zone_named(const std::string& name) {
  for (const profiling::Zone zone : profiling::kZones) {
    if (name == profiling::name(zone)) return zone;
  }
  throw base::ValueError("unknown zone '" + name + "'");
}

py::array_t<EventRow> rows_of(profiling::Recording& recording) {
  size_t total = 0;
  for (const auto& lane : recording.lanes) total += lane.events.size();
  py::array_t<EventRow> rows(static_cast<py::ssize_t>(total));
  EventRow* to = rows.mutable_data();
  for (size_t i = 0; i < recording.lanes.size(); ++i) {
    auto& events = recording.lanes[i].events;
    for (const profiling::Event& event : events) {
      *to++ = {static_cast<int64_t>(event.begin),
               static_cast<int64_t>(event.end),
               event.flops,
               event.bytes,
               event.step,
               event.operation,
               event.cause,
               static_cast<uint16_t>(i)};
    }
    events = {};  // two copies of everything would be too much
  }
  return rows;
}

py::dict as_dict(profiling::Recording recording) {
  py::list threads;
  for (const auto& lane : recording.lanes) {
    py::dict entry;
    entry["worker"] = lane.worker;
    entry["thread_id"] = lane.thread;
    entry["dropped"] = lane.dropped;
    py::object counters = py::none();
    if (lane.counters) {
      py::dict values;
      for (size_t i = 0; i < profiling::kCounters; ++i) {
        values[profiling::kCounterNames[i]] = (*lane.counters)[i];
      }
      counters = values;
    }
    entry["counters"] = counters;
    entry["counters_error"] = lane.counters_error;
    threads.append(entry);
  }
  py::list operations;
  for (const auto& operation : recording.operations) {
    operations.append(py::make_tuple(profiling::name(operation.zone), operation.layer,
                                     profiling::name(operation.phase), operation.arithmetic));
  }
  py::dict result;
  result["events"] = rows_of(recording);
  result["threads"] = threads;
  result["operations"] = operations;
  result["nanoseconds"] = recording.nanoseconds;
  result["steps"] = recording.steps;
  result["bytes_per_thread"] = recording.bytes_a_thread;
  result["threads_left_out"] = recording.threads_left_out;
  return result;
}

// What a with block holds. It begins and ends in C++: between two lines of Python a signal's
// handler may raise, and then nobody would end the recording.
class Scope {
 public:
  Scope() = default;
  ~Scope() { abandon(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  void start(int64_t events_per_thread, int64_t every, bool counters) {
    without_gil([&] { session_ = recorder().start({events_per_thread, every, counters}); });
  }
  py::dict stop() {
    const uint64_t session = std::exchange(session_, 0);
    return as_dict(without_gil([&] { return recorder().stop(session); }));
  }
  // Ends it, if it is still at work, and keeps nothing.
  void abandon() noexcept {
    const uint64_t session = std::exchange(session_, 0);
    if (session == 0) return;
    try {
      without_gil([&] { recorder().stop(session); });
    } catch (const std::exception&) {  // a fork has ended it
    }
  }

 private:
  static profiling::Recorder& recorder() { return profiling::Recorder::instance(); }

  uint64_t session_ = 0;
};

}  // namespace

void bind_profiling(py::module_& m) {
  PYBIND11_NUMPY_DTYPE(EventRow, begin, end, flops, bytes, step, operation, waits_for, thread);
  py::class_<Scope>(m, "ProfileScope")
      .def(py::init<>())
      .def("start", &Scope::start, py::arg("events_per_thread"), py::arg("every"),
           py::arg("counters"))
      .def("abandon", &Scope::abandon)
      .def(
          "__exit__",
          [](const py::object& self, const py::object&, const py::object&, const py::object&) {
            const py::dict recorded = self.cast<Scope&>().stop();
            const py::object read = self.attr("_read");
            called(read, recorded);
          },
          py::arg("kind"), py::arg("error"), py::arg("traceback"));
  m.def(
      "profile_mark", [](const std::string& zone) { profiling::mark(zone_named(zone)); },
      py::arg("zone"));
  m.def("zones", [] {
    py::dict result;
    for (const profiling::Zone zone : profiling::kZones) {
      result[profiling::name(zone)] = profiling::what(zone);
    }
    return result;
  });
}

}  // namespace gd::bindings

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <unordered_map>

#include "base/check.hpp"
#include "bindings/bind.hpp"
#include "bindings/gil.hpp"
#include "plan/cost_model.hpp"
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
  uint16_t team;    // likewise: the thread that called
  uint16_t source;  // number as in the list of sources; 0: none
  uint16_t cpu;
  uint8_t purpose;  // index into the list of purposes
};

const char* name_of(profiling::Purpose purpose) {
  using profiling::Purpose;
  switch (purpose) {
    case Purpose::training:
      return "training";
    case Purpose::validation:
      return profiling::name(profiling::Zone::kValidation);
    case Purpose::inference:
      return profiling::name(profiling::Zone::kInference);
    case Purpose::checking:
      return profiling::name(profiling::Zone::kChecks);
    case Purpose::product:
      return profiling::name(profiling::Zone::kMatmul);
  }
  return "";
}

profiling::Zone zone_named(const std::string& name) {
  for (const profiling::Zone zone : profiling::kZones) {
    if (name == profiling::name(zone)) return zone;
  }
  throw base::ValueError("unknown zone '" + name + "'");
}

py::array_t<EventRow> rows_of(const profiling::Recording& recording) {
  uint64_t total = 0;
  for (const auto& lane : recording.lanes) total += lane.count - lane.first;
  py::array_t<EventRow> rows(static_cast<py::ssize_t>(total));
  EventRow* to = rows.mutable_data();
  std::unordered_map<uint16_t, uint16_t> lanes;  // by their numbers
  for (size_t i = 0; i < recording.lanes.size(); ++i) {
    lanes[recording.lanes[i].number] = static_cast<uint16_t>(i);
  }
  for (size_t i = 0; i < recording.lanes.size(); ++i) {
    uint16_t number = recording.lanes[i].number;
    auto team = static_cast<uint16_t>(i);
    recording.lanes[i].for_each([&](const profiling::Event& event) {
      if (event.setting.team != number) {
        number = event.setting.team;
        team = lanes.contains(number) ? lanes[number] : static_cast<uint16_t>(i);
      }
      *to++ = {static_cast<int64_t>(event.begin),
               static_cast<int64_t>(event.end),
               event.flops,
               event.bytes,
               event.step,
               event.operation,
               event.cause,
               static_cast<uint16_t>(i),
               team,
               event.setting.source,
               event.setting.cpu,
               static_cast<uint8_t>(event.setting.purpose)};
    });
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
    py::list ranges;
    for (const profiling::Range& range : lane.ranges) {
      ranges.append(py::make_tuple(range.name, range.begin, range.end, range.step, range.depth,
                                   range.source));
    }
    entry["ranges"] = ranges;
    entry["ranges_left_out"] = lane.ranges_left_out;
    entry["counters"] = counters;
    entry["counters_error"] = lane.counters_error;
    threads.append(entry);
  }
  py::list operations;
  for (const auto& operation : recording.operations) {
    operations.append(py::make_tuple(profiling::name(operation.zone), operation.layer,
                                     profiling::name(operation.phase), operation.arithmetic));
  }
  py::list sources;
  for (const profiling::SourceCount& count : recording.counts) {
    py::dict entry;
    entry["number"] = count.source;
    entry["steps"] = count.steps;
    entry["most_rows"] = count.most_rows;
    entry["most_threads"] = count.most_threads;
    if (count.source != profiling::kNoSource) {
      const profiling::NamedSource& source = recording.sources[count.source - 1u];
      entry["serial"] = source.serial;
      entry["kind"] = source.kind;
      entry["network"] = source.network;
      entry["optimizer"] = source.optimizer;
      entry["loss"] = source.loss;
      entry["dtype"] = source.dtype;
    }
    sources.append(entry);
  }
  py::dict result;
  result["sources"] = sources;
  result["began"] = recording.began;
  result["threads"] = threads;
  result["operations"] = operations;
  result["nanoseconds"] = recording.nanoseconds;
  result["steps"] = recording.steps;
  result["every"] = recording.every;
  result["bytes_per_thread"] = recording.bytes_a_thread;
  result["threads_left_out"] = recording.threads_left_out;
  const auto samples = static_cast<py::ssize_t>(recording.memory.size());
  py::array_t<int64_t> memory({samples, py::ssize_t{3}});
  for (py::ssize_t i = 0; i < samples; ++i) {
    const profiling::MemorySample& sample = recording.memory[static_cast<size_t>(i)];
    memory.mutable_at(i, 0) = static_cast<int64_t>(sample.at);
    memory.mutable_at(i, 1) = sample.process;
    memory.mutable_at(i, 2) = sample.own;
  }
  result["memory"] = memory;
  // Made when somebody reads them.
  result["events"] =
      py::cpp_function([kept = std::make_shared<profiling::Recording>(std::move(recording))] {
        return rows_of(*kept);
      });
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

  void begin(int64_t events_per_thread, int64_t every, bool counters) {
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
  PYBIND11_NUMPY_DTYPE(EventRow, begin, end, flops, bytes, step, operation, waits_for, thread, team,
                       source, cpu, purpose);
  py::class_<Scope>(m, "ProfileScope")
      .def(py::init<>())
      .def("begin", &Scope::begin, py::arg("events_per_thread"), py::arg("every"),
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
  m.def("profiling", &profiling::Recorder::on);
  m.def(
      "profile_mark", [](const std::string& zone) { profiling::mark(zone_named(zone)); },
      py::arg("zone"));
  m.def(
      "profile_range_begin",
      [](const std::string& name) {
        return profiling::Recorder::on() ? profiling::Recorder::instance().begin_range(name) : 0;
      },
      py::arg("name"));
  m.def(
      "profile_range_end", [](uint64_t range) { profiling::Recorder::instance().end_range(range); },
      py::arg("range"));
  // Of a step on that many samples, on at most `most`.
  m.def(
      "workers_for_step",
      [](int64_t rows, int64_t flops, int64_t parameters, int most) {
        const int64_t part = plan::sample_part(rows, parameters);
        return plan::choose_sharing({rows, flops, parameters, part}, most).workers;
      },
      py::arg("rows"), py::arg("flops"), py::arg("parameters"), py::arg("most"));
  m.def("profile_purposes", [] {
    using profiling::Purpose;
    py::list names;
    for (const Purpose purpose : {Purpose::training, Purpose::validation, Purpose::inference,
                                  Purpose::checking, Purpose::product}) {
      names.append(name_of(purpose));
    }
    return names;
  });
  m.def("zones", [] {
    py::dict result;
    for (const profiling::Zone zone : profiling::kZones) {
      result[profiling::name(zone)] = profiling::what(zone);
    }
    return result;
  });
}

}  // namespace gd::bindings

#pragma once

// Schedules as Python gives them, and those that a Python function tells, in the hands of C++.

#include "bindings/gil.hpp"
#include "optim/schedule.hpp"
#include "train/trainer.hpp"

namespace gd::bindings {

// A Python function (base, t) as a schedule. Called with or without the GIL held.
class PythonSchedule final : public optim::Schedule {
 public:
  explicit PythonSchedule(py::object function) : function_(std::move(function)) {}
  ~PythonSchedule() override {
    const WithGil gil;
    function_ = py::object();
  }
  PythonSchedule(const PythonSchedule&) = delete;
  PythonSchedule& operator=(const PythonSchedule&) = delete;

  double value(double base, int64_t t) const override {
    const WithGil gil;
    return called(function_, py::float_(base), py::int_(t)).cast<double>();
  }

  // For Python's garbage collector.
  int traverse(visitproc visit, void* arg) const {
    Py_VISIT(function_.ptr());
    return 0;
  }
  void clear() { function_ = py::none(); }

 private:
  py::object function_;
};

// Python's (name, numbers, parts), each part as the whole is; or a function.
inline std::unique_ptr<optim::Schedule> schedule_from(py::handle given) {
  if (PyCallable_Check(given.ptr()) != 0) {
    return std::make_unique<PythonSchedule>(py::reinterpret_borrow<py::object>(given));
  }
  const auto tuple = py::cast<py::tuple>(given);
  optim::ScheduleArguments arguments;
  arguments.numbers = tuple[1].cast<std::vector<double>>();
  for (const py::handle part : tuple[2]) arguments.parts.push_back(schedule_from(part));
  return optim::make_schedule(tuple[0].cast<std::string>(), std::move(arguments));
}

// A function may reach the trainer that holds it: the garbage collector has to see it.
template <class T>
void hold_as_python_does(PyHeapTypeObject* heap_type) {
  static constexpr auto visit_functions = [](PyObject* self,
                                             base::FunctionRef<void(PythonSchedule&)> visitor) {
    if (!py::detail::is_holder_constructed(self)) return;
    const auto look = [&](optim::Schedule& schedule) {
      if (auto* const found = dynamic_cast<PythonSchedule*>(&schedule)) visitor(*found);
    };
    py::cast<train::Trainer<T>&>(py::handle(self)).visit_schedules(look);
  };
  PyTypeObject& type = heap_type->ht_type;
  type.tp_flags |= Py_TPFLAGS_HAVE_GC;
  type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    int result = 0;
    visit_functions(self, [&](PythonSchedule& schedule) {
      if (result == 0) result = schedule.traverse(visit, arg);
    });
    return result;
  };
  type.tp_clear = [](PyObject* self) {
    visit_functions(self, [](PythonSchedule& schedule) { schedule.clear(); });
    return 0;
  };
}

}  // namespace gd::bindings

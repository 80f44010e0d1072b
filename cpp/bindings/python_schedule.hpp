#pragma once

// A learning rate that a Python function tells, in the hands of C++.

#include "bindings/gil.hpp"
#include "optim/schedule.hpp"
#include "train/trainer.hpp"

namespace gd::bindings {

// A Python function of time as a schedule. Called with or without the GIL held.
class PythonSchedule final : public optim::Schedule {
 public:
  explicit PythonSchedule(py::object function) : function_(std::move(function)) {}
  ~PythonSchedule() override {
    const WithGil gil;
    function_ = py::object();
  }
  PythonSchedule(const PythonSchedule&) = delete;
  PythonSchedule& operator=(const PythonSchedule&) = delete;

  double rate(double, int64_t t) const override {
    const WithGil gil;
    return called(function_, py::int_(t)).cast<double>();
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

// A function may reach the trainer that holds it: the garbage collector has to see it.
template <class T>
void hold_as_python_does(PyHeapTypeObject* heap_type) {
  static constexpr auto schedule_of = [](PyObject* self) -> PythonSchedule* {
    if (!py::detail::is_holder_constructed(self)) return nullptr;
    return dynamic_cast<PythonSchedule*>(py::cast<train::Trainer<T>&>(py::handle(self)).schedule());
  };
  PyTypeObject& type = heap_type->ht_type;
  type.tp_flags |= Py_TPFLAGS_HAVE_GC;
  type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    const PythonSchedule* const schedule = schedule_of(self);
    return schedule == nullptr ? 0 : schedule->traverse(visit, arg);
  };
  type.tp_clear = [](PyObject* self) {
    if (PythonSchedule* const schedule = schedule_of(self)) schedule->clear();
    return 0;
  };
}

}  // namespace gd::bindings

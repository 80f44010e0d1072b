#include "base/check.hpp"
#include "bindings/bind.hpp"
#include "kernels/dispatch.hpp"

// Without the GIL too: what threads share has locks of its own, since no step holds the GIL.
PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  m.doc() = "The compiled core of gdcore; use the package, not this.";
  // Here, so that a wrong GDCORE_MAX_ISA is told at import and not in the middle of work.
  gd::kernels::kernels();

  namespace py = pybind11;
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const gd::base::TypeError& error) {
      py::set_error(PyExc_TypeError, error.what());
    } catch (const gd::base::ValueError& error) {
      py::set_error(PyExc_ValueError, error.what());
    } catch (const gd::base::DivergenceError& error) {
      py::set_error(PyExc_FloatingPointError, error.what());
    } catch (const gd::base::StateError& error) {
      py::set_error(PyExc_RuntimeError, error.what());
    }
  });

  gd::bindings::bind_config(m);
  gd::bindings::bind_matmul(m);
  gd::bindings::bind_network(m);
  gd::bindings::bind_trainer(m);
  gd::bindings::bind_many(m);
  gd::bindings::bind_rules(m);
  gd::bindings::bind_checks(m);
  gd::bindings::bind_profiling(m);
  gd::bindings::bind_streams(m);
}

#pragma once

// One function a topic; each converts, checks, releases the GIL and delegates.

#include <pybind11/pybind11.h>

namespace gd::bindings {

void bind_config(pybind11::module_& m);
void bind_matmul(pybind11::module_& m);
void bind_network(pybind11::module_& m);
void bind_trainer(pybind11::module_& m);
void bind_many(pybind11::module_& m);
void bind_rules(pybind11::module_& m);
void bind_checks(pybind11::module_& m);
void bind_profiling(pybind11::module_& m);
void bind_streams(pybind11::module_& m);

}  // namespace gd::bindings

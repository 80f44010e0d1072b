#pragma once

#include "bindings/targets.hpp"

namespace gd::bindings {

// Data of targets (N, outputs) with derivatives of the outputs by the inputs beside them, as
// plan/operations/derivative_loss.hpp takes them. dy: (N, outputs, inputs), or of one output
// (N, inputs), finite or NaN where one is not known.
template <class T>
HeldData<T> with_derivatives(const HeldData<T>& data, py::handle dy, int64_t outputs);

}  // namespace gd::bindings

#pragma once

#include <string_view>

#include "bindings/arrays.hpp"
#include "data/dataset.hpp"
#include "ops/formulas.hpp"

namespace gd::bindings {

// How messages call the three arrays of a dataset.
struct DataNames {
  std::string_view x = "x";
  std::string_view y = "y";
  std::string_view sample_weight = "sample_weight";
};

// A dataset and the arrays it looks into.
template <class T>
struct HeldData {
  // Objects: an array without a value is a new empty array, which allocates.
  py::object x;
  py::object target;  // of T, or of int64 labels
  py::object weights;
  py::object shares;  // of double
  data::Dataset<T> view;
};

// Checks and converts inputs (N, inputs), targets as the loss takes them, and weights (N,) or None.
//   y: (N, columns) of the loss, or (N,) for one column, within what its Targets allow; for
//   categories also (N,) integers below `outputs`, or ignore_index
template <class T>
HeldData<T> hold_data(py::handle x, py::handle y, py::handle sample_weight, int64_t inputs,
                      int64_t outputs, const ops::LossTerms<T>& loss, const DataNames& names = {});

// One sample: x (inputs,); y a label, a number for one column, or (columns,).
template <class T>
HeldData<T> hold_sample(py::handle x, py::handle y, int64_t inputs, int64_t outputs,
                        const ops::LossTerms<T>& loss);

}  // namespace gd::bindings

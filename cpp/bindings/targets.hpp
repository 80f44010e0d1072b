#pragma once

#include <string>

#include "bindings/arrays.hpp"
#include "data/dataset.hpp"

namespace gd::bindings {

// How messages call the three arrays of a dataset.
struct DataNames {
  std::string x = "x";
  std::string y = "y";
  std::string sample_weight = "sample_weight";
};

// A dataset and the arrays it looks into.
template <class T>
struct HeldData {
  py::array_t<T> x;
  py::array target;  // of T, or of int64 labels
  py::object weights = py::none();
  data::Dataset<T> view;
};

// Checks and converts inputs (N, inputs), targets as the loss takes them, and weights (N,) or None.
//   y: (N, outputs), or (N,) for one output; cross_entropy: (N,) integers below `outputs`, or
//   (N, outputs) probabilities; bce_with_logits: within [0, 1]
template <class T>
HeldData<T> hold_data(py::handle x, py::handle y, py::handle sample_weight, int64_t inputs,
                      int64_t outputs, const std::string& loss, const DataNames& names = {});

}  // namespace gd::bindings

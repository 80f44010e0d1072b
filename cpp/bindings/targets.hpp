#pragma once

#include <string_view>

#include "bindings/inputs.hpp"
#include "data/dataset.hpp"
#include "ops/formulas.hpp"
#include "train/heads.hpp"

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
  // Of each head where there are several losses; then the three above hold nothing.
  std::vector<HeldData> of_heads;
  std::vector<data::HeadData<T>> head_views;
  data::Dataset<T> view;
};

// Checks and converts inputs, targets as the loss takes them, and weights (N,) or None.
//   x: as input_matrix takes it
//   y: (N, columns) of the loss, or (N,) for one column, within what its Targets allow; for
//   categories also (N,) integers below `outputs`, or ignore_index
template <class T>
HeldData<T> hold_data(py::handle x, py::handle y, py::handle sample_weight, const nn::Graph& graph,
                      const ops::LossTerms<T>& loss, const DataNames& names = {});

// The same but for the inputs, whose number of rows the view knows.
template <class T>
void hold_targets(HeldData<T>& held, py::handle y, py::handle sample_weight, int64_t outputs,
                  const ops::LossTerms<T>& loss, const DataNames& names);

// One sample: x (inputs,), or as input_row takes it; y a label, a number for one column, or
// (columns,).
template <class T>
HeldData<T> hold_sample(py::handle x, py::handle y, const nn::Graph& graph,
                        const ops::LossTerms<T>& loss);
template <class T>
void hold_target_of_sample(HeldData<T>& held, py::handle y, int64_t outputs,
                           const ops::LossTerms<T>& loss, std::string_view name);

// The same with losses of several heads: y, and sample_weight if it is no array for all heads, are
// mappings by the heads' names.
template <class T>
HeldData<T> hold_data_of_heads(py::handle x, py::handle y, py::handle sample_weight,
                               const nn::Graph& graph, const train::Heads<T>& heads,
                               const DataNames& names = {});
template <class T>
HeldData<T> hold_sample_of_heads(py::handle x, py::handle y, const nn::Graph& graph,
                                 const train::Heads<T>& heads);

}  // namespace gd::bindings

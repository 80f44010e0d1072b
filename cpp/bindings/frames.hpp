#pragma once

// Tables of Python: columns by their names. What they are made of is Python's to know, see
// gdcore/_frames.py.

#include <string>
#include <string_view>
#include <vector>

#include "bindings/arrays.hpp"
#include "train/model.hpp"

namespace gd::bindings {

using Names = std::vector<std::string>;

// Whether it has no columns with names, so that there is nothing to look up.
inline bool has_no_names(py::handle x) {
  return py::isinstance<py::array>(x) || PyList_CheckExact(x.ptr()) || PyTuple_CheckExact(x.ptr());
}

// None where there are no names.
py::object names_or_none(const Names& names);

// A table's columns in the order of `names`, as an array; anything else as it is.
py::object ordered_table(py::handle x, std::string_view argument, const Names& names,
                         const char* dtype);
// The same for one sample.
py::object ordered_row(py::handle x, std::string_view argument, const Names& names);
// Of a table's columns; empty where it has none.
Names names_of(py::handle x);

// x (N, inputs) with its columns where the model was trained to find them.
template <class T>
py::object in_order(train::Model<T>& model, py::handle x, std::string_view argument = "x") {
  const bool several = model.description().graph().inputs.size() > 1;  // in a dict
  if (has_no_names(x) || several) return py::reinterpret_borrow<py::object>(x);
  const Names names = without_gil([&] { return model.input_names(); });
  return ordered_table(x, argument, names, kDtype<T>);
}

template <class T>
py::object row_in_order(train::Model<T>& model, py::handle x) {
  const bool several = model.description().graph().inputs.size() > 1;
  if (has_no_names(x) || several) return py::reinterpret_borrow<py::object>(x);
  return ordered_row(x, "x", without_gil([&] { return model.input_names(); }));
}

// Keeps the names of a table that the model was trained with, if it has none yet.
template <class T>
void keep_names(train::Model<T>& model, py::handle x) {
  if (has_no_names(x) || model.description().graph().inputs.size() > 1) return;
  const Names names = names_of(x);
  if (names.empty()) return;
  without_gil([&] {
    if (model.input_names().empty()) model.set_input_names(names);
  });
}

}  // namespace gd::bindings

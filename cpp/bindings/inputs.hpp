#pragma once

// What a network is given, as the one matrix x that plans read: columns of numbers, and codes as
// numbers.

#include "bindings/arrays.hpp"
#include "bindings/sparse_inputs.hpp"
#include "nn/graph.hpp"

namespace gd::bindings {

// Whether x is one array of real numbers, which needs no joining.
inline bool is_plain(const nn::Graph& graph) {
  const nn::InputSpec& first = graph.inputs.front();
  return graph.inputs.size() == 1 && !first.holds_codes() && !first.sparse;
}

bool is_mapping(py::handle object);

// What a mapping has for each name, and nothing else; None for one that is missing where it is
// optional. Errors name the argument, and say `what` the names are of.
std::vector<py::object> parts_of(const std::vector<std::string>& names, py::handle mapping,
                                 std::string_view argument, const char* what,
                                 bool optional = false);

// (N, input_size) from an array, or where there are several inputs from a mapping of their names to
// arrays (N, columns), all finite, codes whole numbers below their categories. A copy, unless there
// is one input of real numbers and it is ready. Of sparse inputs the matrix has the numbers of
// their rows, keeps those alive, and *sparse is where they are, by the network's inputs.
template <class T>
py::array_t<T> input_matrix(const nn::Graph& graph, py::handle x, std::string_view name,
                            const base::SparseRows<T>** sparse);

// The same of one sample: (input_size,) from arrays (columns,).
template <class T>
py::array_t<T> input_row(const nn::Graph& graph, py::handle x, std::string_view name,
                         const base::SparseRows<T>** sparse);

// A matrix (N, input_size) as a caller gives x: a new dict by name where there are several inputs.
// Those of codes and of sparse rows are left out; None where there is no other.
template <class T>
py::object split_inputs(const nn::Graph& graph, py::array_t<T> matrix);

}  // namespace gd::bindings

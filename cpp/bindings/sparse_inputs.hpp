#pragma once

// Sparse rows as Python has them: what SciPy calls CSR, known by its attributes alone.

#include <vector>

#include "base/sparse_rows.hpp"
#include "bindings/arrays.hpp"

namespace gd::bindings {

// Of each input of a network its rows, of those that are sparse, and the arrays they lie in.
template <class T>
struct SparseInputs {
  std::vector<base::SparseRows<T>> rows;
  std::vector<py::object> arrays;
};

// Rows of `width` columns, all finite: CSR as it is, where its types are those of T and its columns
// ascend, or a copy; a dense matrix without its zeros.
template <class T>
base::SparseRows<T> sparse_rows(py::handle object, std::string_view name, int64_t width,
                                std::vector<py::object>& arrays);

// The same of one sample: (width,), CSR of one row, or a tuple of arrays (indices, values).
template <class T>
base::SparseRows<T> sparse_sample(py::handle object, std::string_view name, int64_t width,
                                  std::vector<py::object>& arrays);

}  // namespace gd::bindings

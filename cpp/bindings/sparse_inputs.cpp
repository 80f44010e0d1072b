#include "bindings/sparse_inputs.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.hpp"

namespace gd::bindings {

using base::fail;
using base::require;
using base::TypeError;
using base::ValueError;

namespace {

std::string format_of(py::handle object) {
  if (!py::hasattr(object, "format")) return "";
  const py::object format = object.attr("format");
  return py::isinstance<py::str>(format) ? std::string(py::str(format)) : "";
}

bool is_csr(py::handle object) {
  return !is_plain_array(object) && format_of(object) == "csr" && py::hasattr(object, "indptr") &&
         py::hasattr(object, "indices") && py::hasattr(object, "data") &&
         py::hasattr(object, "shape");
}

void refuse_other_formats(py::handle object, std::string_view name) {
  if (is_plain_array(object) || !py::hasattr(object, "tocsr")) return;
  fail<TypeError>(name, " must be CSR where it is sparse, got format '", format_of(object),
                  "': give ", name, ".tocsr()");
}

template <class T>
T* new_array(int64_t size, std::vector<py::object>& arrays) {
  py::array_t<T> array(static_cast<py::ssize_t>(size));
  T* const data = array.mutable_data();
  arrays.push_back(std::move(array));
  return data;
}

py::array vector_of(py::handle object, const char* part, std::string_view name) {
  const std::string who = base::message(name, ".", part);
  py::array array = any_real_array(object.attr(part), who);
  if (array.ndim() != 1)
    fail<ValueError>(who, " must have one dimension, got shape ", shape_text(array));
  return array;
}

// The same of integers.
py::array integers_of(py::handle object, const char* part, std::string_view name) {
  py::array array = vector_of(object, part, name);
  const char kind = array.dtype().kind();
  if (kind != 'i' && kind != 'u')
    fail<TypeError>(name, ".", part, " must hold integers, got dtype ", dtype_name(array));
  return array;
}

// indptr, one more than rows, from 0 on and never less than the one before.
const int64_t* begins_of(py::handle object, std::string_view name, int64_t rows, int64_t elements,
                         std::vector<py::object>& arrays) {
  const std::string who = base::message(name, ".indptr");
  const auto begins = converted<int64_t>(integers_of(object, "indptr", name), who);
  const int64_t* const at = begins.data();
  require<ValueError>(begins.size() == rows + 1, who, " must have ", rows + 1, " numbers for ",
                      rows, " rows, got ", begins.size());
  require<ValueError>(at[0] == 0, who, " must begin with 0, got ", at[0]);
  const int64_t* const falls = std::is_sorted_until(at, at + rows + 1);
  if (falls != at + rows + 1)
    fail<ValueError>(who, " must not fall, got ", *falls, " after ", falls[-1], " at index ",
                     falls - at);
  require<ValueError>(at[rows] <= elements, who, " must end with at most the number of elements, ",
                      elements, ", got ", at[rows]);
  arrays.push_back(begins);
  return at;
}

// indices as int32, within the columns.
const int32_t* columns_of(const py::array& given, std::string_view name, const int64_t* begins,
                          int64_t rows, int64_t width, std::vector<py::object>& arrays) {
  const auto check = [&](const auto* at) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t e = begins[i]; e < begins[i + 1]; ++e) {
        if (at[e] >= 0 && at[e] < width) continue;
        fail<ValueError>(name, ".indices must be from 0 to ", width - 1, ", got ", at[e],
                         " in row ", i);
      }
    }
  };
  if (is_ready<int32_t>(given)) {
    const auto columns = py::reinterpret_borrow<py::array_t<int32_t>>(given);
    check(columns.data());
    arrays.push_back(columns);
    return columns.data();
  }
  const auto wide = converted<int64_t>(given, base::message(name, ".indices"));
  check(wide.data());
  const int64_t elements = begins[rows];
  int32_t* const narrow = new_array<int32_t>(elements, arrays);
  std::transform(wide.data(), wide.data() + elements, narrow,
                 [](int64_t column) { return static_cast<int32_t>(column); });
  return narrow;
}

// Rows and columns; of a sample, which may have one dimension, one row.
std::pair<int64_t, int64_t> shape_of(py::handle object, std::string_view name, bool is_sample) {
  std::vector<int64_t> shape;
  try {
    shape = py::cast<std::vector<int64_t>>(object.attr("shape"));
  } catch (const py::cast_error&) {
    fail<TypeError>(name, ".shape must hold integers, got ",
                    std::string(py::repr(object.attr("shape"))));
  }
  if (is_sample && shape.size() == 1) shape.insert(shape.begin(), 1);
  if (shape.size() != 2) return {-1, -1};
  return {shape[0], shape[1]};
}

// Elements of a row by ascending column, those of one column in their order.
template <class T>
void sort_rows(base::SparseRows<T>& rows, std::vector<py::object>& arrays) {
  const auto ascends = [&](int64_t i) {
    return std::is_sorted(rows.columns + rows.begins[i], rows.columns + rows.begins[i + 1]);
  };
  int64_t first = 0;
  while (first < rows.rows && ascends(first)) ++first;
  if (first == rows.rows) return;
  const int64_t elements = rows.begins[rows.rows];
  auto* const columns = new_array<int32_t>(elements, arrays);
  auto* const values = new_array<T>(elements, arrays);
  std::vector<int64_t> order(static_cast<size_t>(elements));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = 0; i < rows.rows; ++i) {
    std::stable_sort(order.begin() + rows.begins[i], order.begin() + rows.begins[i + 1],
                     [&](int64_t a, int64_t b) { return rows.columns[a] < rows.columns[b]; });
  }
  for (int64_t e = 0; e < elements; ++e) {
    columns[e] = rows.columns[order[static_cast<size_t>(e)]];
    values[e] = rows.values[order[static_cast<size_t>(e)]];
  }
  rows.columns = columns;
  rows.values = values;
}

template <class T>
base::SparseRows<T> from_csr(py::handle object, std::string_view name, int64_t width,
                             bool is_sample, std::vector<py::object>& arrays) {
  const auto [count, columns] = shape_of(object, name, is_sample);
  if (count < 0 || columns != width)
    fail<ValueError>(name, " must have shape ", shape_text({-1, width}), ", got ",
                     std::string(py::str(object.attr("shape"))));
  require<ValueError>(count > 0, name, " must have at least one row, got shape ",
                      shape_text({count, columns}));
  base::SparseRows<T> rows;
  rows.rows = count;
  const py::array data = vector_of(object, "data", name);
  const py::array indices = integers_of(object, "indices", name);
  require<ValueError>(data.size() == indices.size(), name, ".data must have ", indices.size(),
                      " numbers like ", name, ".indices, got ", data.size());
  rows.begins = begins_of(object, name, count, data.size(), arrays);
  rows.columns = columns_of(indices, name, rows.begins, count, width, arrays);
  const std::string who = base::message(name, ".data");
  const auto values = converted<T>(data, who);
  check_finite(values, who);
  rows.values = values.data();
  arrays.push_back(values);
  sort_rows(rows, arrays);
  return rows;
}

// A matrix, or one row, without its zeros.
template <class T>
base::SparseRows<T> from_dense(const T* from, int64_t rows, int64_t width,
                               std::vector<py::object>& arrays) {
  const int64_t elements = rows * width - std::count(from, from + rows * width, T{0});
  auto* const begins = new_array<int64_t>(rows + 1, arrays);
  auto* const columns = new_array<int32_t>(elements, arrays);
  auto* const values = new_array<T>(elements, arrays);
  int64_t e = 0;
  for (int64_t i = 0; i < rows; ++i) {
    begins[i] = e;
    for (int64_t j = 0; j < width; ++j) {
      if (from[i * width + j] == 0) continue;
      columns[e] = static_cast<int32_t>(j);
      values[e++] = from[i * width + j];
    }
  }
  begins[rows] = e;
  return {rows, begins, columns, values};
}

}  // namespace

template <class T>
base::SparseRows<T> sparse_rows(py::handle object, std::string_view name, int64_t width,
                                std::vector<py::object>& arrays) {
  if (is_csr(object)) return from_csr<T>(object, name, width, false, arrays);
  refuse_other_formats(object, name);
  const auto matrix = finite_matrix<T>(object, name, -1, width);
  return from_dense<T>(matrix.data(), matrix.shape(0), width, arrays);
}

namespace {

// One row as (indices, values), which takes a fifth of the time of CSR's five attributes. No dense
// sample is a tuple of arrays.
bool is_pair(py::handle object) {
  if (PyTuple_CheckExact(object.ptr()) == 0 || PyTuple_GET_SIZE(object.ptr()) != 2) return false;
  return is_plain_array(PyTuple_GET_ITEM(object.ptr(), 0)) &&
         is_plain_array(PyTuple_GET_ITEM(object.ptr(), 1));
}

template <class T>
base::SparseRows<T> from_pair(py::handle object, std::string_view name, int64_t width,
                              std::vector<py::object>& arrays) {
  const py::array indices = any_real_array(PyTuple_GET_ITEM(object.ptr(), 0), name);
  const auto values = converted<T>(any_real_array(PyTuple_GET_ITEM(object.ptr(), 1), name), name);
  const char kind = indices.dtype().kind();
  const bool fits = (kind == 'i' || kind == 'u') && indices.ndim() == 1 && values.ndim() == 1 &&
                    indices.size() == values.size();
  if (!fits)
    fail<ValueError>(
        name, " must be (indices, values), integers and numbers of one shape (n,), got ",
        dtype_name(indices), " of shape ", shape_text(indices), " and shape ", shape_text(values));
  check_finite(values, name);
  auto* const begins = new_array<int64_t>(2, arrays);
  begins[0] = 0;
  begins[1] = values.size();
  base::SparseRows<T> rows{1, begins, nullptr, values.data()};
  rows.columns = columns_of(indices, name, begins, 1, width, arrays);
  arrays.push_back(values);
  sort_rows(rows, arrays);
  return rows;
}

}  // namespace

template <class T>
base::SparseRows<T> sparse_sample(py::handle object, std::string_view name, int64_t width,
                                  std::vector<py::object>& arrays) {
  if (is_pair(object)) return from_pair<T>(object, name, width, arrays);
  if (is_csr(object)) {
    const base::SparseRows<T> rows = from_csr<T>(object, name, width, true, arrays);
    require<ValueError>(rows.rows == 1, name, " must be one row, got ", rows.rows);
    return rows;
  }
  refuse_other_formats(object, name);
  const auto row = real_array<T>(object, name);
  if (row.ndim() != 1 || row.shape(0) != width)
    fail<ValueError>(name, " must have shape ", shape_text({width}), ", got ", shape_text(row));
  check_finite(row, name);
  return from_dense<T>(row.data(), 1, width, arrays);
}

#define GD_INSTANTIATE(T)                                                              \
  template base::SparseRows<T> sparse_rows<T>(py::handle, std::string_view, int64_t,   \
                                              std::vector<py::object>&);               \
  template base::SparseRows<T> sparse_sample<T>(py::handle, std::string_view, int64_t, \
                                                std::vector<py::object>&);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::bindings

#pragma once

// Python objects in, plain pointers out. Every error names the argument, what came and what was
// expected.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "bindings/gil.hpp"

namespace gd::bindings {

namespace py = pybind11;

// Flags of NumPy arrays.
inline constexpr int kContiguous = py::array::c_style;
inline constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;

// A C-contiguous, aligned array of T. Anything else that holds real numbers is converted, which
// copies. TypeError for object, complex and string arrays; ValueError for ragged lists.
template <class T>
py::array_t<T> real_array(py::handle object, std::string_view name);

// Whether it is an array and not one of a subclass, such as a masked one, that means more than its
// memory.
inline bool is_plain_array(py::handle object) {
  return Py_TYPE(object.ptr()) == py::detail::npy_api::get().PyArray_Type_;
}

// Whether an object is just that, so that no conversion and no copy is needed.
template <class T>
bool is_ready(py::handle object) {
  if (!is_plain_array(object)) return false;
  constexpr int wanted = kContiguous | kAligned;
  const auto* array = py::detail::array_proxy(object.ptr());
  if ((array->flags & wanted) != wanted) return false;
  // NumPy has one object for a dtype of its own; others may be equal to it.
  static const PyObject* const usual = py::dtype::of<T>().release().ptr();
  return array->descr == usual || py::array_t<T>::check_(object);
}

// The same with its shape checked: (rows, cols), rows -1 for any number of at least one, every
// element finite.
template <class T>
py::array_t<T> finite_matrix(py::handle object, std::string_view name, int64_t rows, int64_t cols);

// ValueError unless every element is finite.
template <class T>
void check_finite(const py::array_t<T>& array, std::string_view name);

// What became of an array that was converted to T: how many numbers, not 0 before, are now so small
// that arithmetic takes them for 0, and the first of them as it was.
struct Vanished {
  int64_t count = 0;
  double first = 0;
};
template <class T>
Vanished vanished(py::handle object, const py::array_t<T>& converted);

// Any object as a NumPy array of no subclass, with a dtype of real numbers.
py::array any_real_array(py::handle object, std::string_view name);

// What any_real_array returned, C-contiguous, aligned and of T: as it is, or a copy whose type,
// shape and order are checked.
template <class T>
py::array_t<T> converted(const py::array& array, std::string_view name);

// The dtype as a user would write it, "float64".
std::string dtype_name(const py::array& array);

// "(3, 4)", or "(any, 4)" for -1.
std::string shape_text(std::initializer_list<int64_t> shape);
std::string shape_text(const py::array& array);

bool same_shape(const py::array& a, const py::array& b);

template <class T>
py::array_t<T> new_matrix(int64_t rows, int64_t cols) {
  return py::array_t<T>({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(cols)});
}

template <class T>
inline constexpr const char* kDtype = std::is_integral_v<T> ? "int64"
                                      : sizeof(T) == 4      ? "float32"
                                                            : "float64";

// num_threads as the library resolves it.
int resolve_threads(std::optional<int> num_threads);

// A number of rows at a time: at least 1.
int64_t check_batch_size(int64_t batch_size);

}  // namespace gd::bindings

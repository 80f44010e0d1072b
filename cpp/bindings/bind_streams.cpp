#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>

#include "base/check.hpp"
#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "data/running_scaler.hpp"

namespace gd::bindings {

using base::fail;
using base::require;
using base::TypeError;
using base::ValueError;

namespace {

// The number that a feature has; whatever Python can make a float of is one.
double number_of(PyObject* feature, PyObject* value, double largest) {
  if (PyFloat_CheckExact(value)) {
    const double number = PyFloat_AS_DOUBLE(value);
    if (std::abs(number) <= largest) return number;
  }
  const double number = PyFloat_AsDouble(value);
  if (number == -1.0 && PyErr_Occurred() != nullptr) {
    const bool too_large = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
    if (!too_large && PyErr_ExceptionMatches(PyExc_TypeError) == 0 &&
        PyErr_ExceptionMatches(PyExc_ValueError) == 0)
      throw py::error_already_set();
    PyErr_Clear();
    const auto name = std::string(py::repr(feature));
    if (too_large) fail<ValueError>("x[", name, "] must be finite, got an integer too large");
    fail<TypeError>("x[", name, "] must be a number, got ",
                    std::string(py::str(py::type::of(value).attr("__name__"))), " ",
                    std::string(py::repr(value)));
  }
  if (std::abs(number) <= largest) return number;
  fail<ValueError>("x[", std::string(py::repr(feature)), "] must be finite",
                   largest < std::numeric_limits<double>::max() ? " in float32" : "", ", got ",
                   std::isnan(number) ? "NaN" : std::string(py::repr(value)));
}

// Columns, ascending, and values of a sample that comes as a dict by feature; None where it has a
// feature that `columns` has not. Whatever is no finite number raises, and names the feature.
py::object sparse_row(const py::dict& columns, const py::dict& x, bool single) {
  const double largest = single ? static_cast<double>(std::numeric_limits<float>::max())
                                : std::numeric_limits<double>::max();
  const auto size = static_cast<py::ssize_t>(x.size());
  py::array_t<int32_t> indices(size);
  py::array_t<double> values(size);
  int32_t* const to = indices.mutable_data();
  double* const at = values.mutable_data();
  bool known = true;
  bool ascends = true;
  py::ssize_t e = 0;
  for (const auto& [feature, value] : x) {
    require<ValueError>(e < size, "x changed its size while it was read");
    at[e] = number_of(feature.ptr(), value.ptr(), largest);
    PyObject* const column = PyDict_GetItemWithError(columns.ptr(), feature.ptr());
    if (column == nullptr) {
      if (PyErr_Occurred() != nullptr) throw py::error_already_set();
      known = false;  // and on, to look at the other numbers
    } else {
      to[e] = static_cast<int32_t>(PyLong_AsLong(column));
      ascends = ascends && (e == 0 || to[e - 1] < to[e]);
    }
    ++e;
  }
  require<ValueError>(e == size, "x changed its size while it was read");
  if (!known) return py::none();
  if (!ascends) {
    std::vector<std::pair<int32_t, double>> row(static_cast<size_t>(size));
    for (size_t i = 0; i < row.size(); ++i) row[i] = {to[i], at[i]};
    std::ranges::sort(row, {}, &std::pair<int32_t, double>::first);
    for (size_t i = 0; i < row.size(); ++i) std::tie(to[i], at[i]) = row[i];
  }
  return py::make_tuple(std::move(indices), std::move(values));
}

// As Python holds it; threads take turns.
struct Scaler {
  data::RunningScaler scaler;
  std::mutex mutex{};
};

std::vector<double> numbers_of(const py::array_t<double>& array) {
  return {array.data(), array.data() + array.size()};
}

// A row as sparse_row has it.
struct Row {
  py::array_t<int32_t> columns;
  py::array_t<double> values;

  Row(py::handle indices, py::handle numbers) {
    const bool fits = is_ready<int32_t>(indices) && is_ready<double>(numbers);
    require<TypeError>(fits, "indices must be int32 and values float64");
    columns = py::reinterpret_borrow<py::array_t<int32_t>>(indices);
    values = py::reinterpret_borrow<py::array_t<double>>(numbers);
    const int32_t* const at = columns.data();
    const bool in_range = std::all_of(at, at + columns.size(), [](int32_t c) { return c >= 0; });
    require<ValueError>(columns.size() == values.size() && in_range,
                        "indices must be as many as values, and none negative");
  }
};

py::array_t<double> scaled(Scaler& self, py::handle indices, py::handle values, bool with_it) {
  const Row row(indices, values);
  py::array_t<double> result(row.values.size());
  const std::lock_guard lock(self.mutex);
  self.scaler.transform(row.columns.data(), row.values.data(), row.values.size(), with_it,
                        result.mutable_data());
  return result;
}

void learn(Scaler& self, py::handle indices, py::handle values) {
  const Row row(indices, values);
  const std::lock_guard lock(self.mutex);
  self.scaler.learn(row.columns.data(), row.values.data(), row.values.size());
}

}  // namespace

void bind_streams(py::module_& m) {
  m.def("sparse_row", sparse_row, py::arg("columns"), py::arg("x"), py::arg("single"));
  py::class_<Scaler>(m, "RunningScaler")
      .def(py::init([] { return std::make_unique<Scaler>(); }))
      .def("learn", learn, py::arg("indices"), py::arg("values"))
      .def("scaled", scaled, py::arg("indices"), py::arg("values"), py::arg("with_it"))
      .def(py::pickle(
          [](Scaler& self) {
            const auto array = [](const std::vector<double>& values) {
              return py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data());
            };
            const std::lock_guard lock(self.mutex);
            return py::make_tuple(array(self.scaler.counts()), array(self.scaler.means()),
                                  array(self.scaler.squares()));
          },
          [](const py::tuple& state) {
            require<ValueError>(state.size() == 3, "this is no state of a RunningScaler");
            const auto counts = real_array<double>(state[0], "counts");
            const auto means = real_array<double>(state[1], "means");
            const auto squares = real_array<double>(state[2], "squares");
            require<ValueError>(counts.size() == means.size() && means.size() == squares.size(),
                                "this is no state of a RunningScaler");
            auto made = std::make_unique<Scaler>();
            made->scaler =
                data::RunningScaler(numbers_of(counts), numbers_of(means), numbers_of(squares));
            return made;
          }));
}

}  // namespace gd::bindings

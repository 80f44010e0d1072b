#include "bindings/inputs.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/check.hpp"

namespace gd::bindings {

using base::fail;
using base::require;
using base::TypeError;
using base::ValueError;

namespace {

std::string quoted(const std::string& name) { return "'" + name + "'"; }

std::string all_of(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + quoted(name);
  return all;
}

std::vector<std::string> input_names_of(const nn::Graph& graph) {
  std::vector<std::string> names;
  for (const nn::InputSpec& input : graph.inputs) names.push_back(input.name);
  return names;
}

// What messages call an input's array.
std::string told(const nn::Graph& graph, const nn::InputSpec& input, std::string_view name) {
  const std::string text(name);
  return graph.inputs.size() == 1 ? text : text + "[" + quoted(input.name) + "]";
}

// Numbers as the network takes them, one input's columns beside the others'.
template <class T>
struct Columns {
  T* to;
  int64_t stride;
};

template <class T>
void copy_numbers(const py::array& array, const std::string& name, int64_t rows, int64_t cols,
                  Columns<T> columns) {
  const auto values = converted<T>(array, name);
  check_finite(values, name);
  for (int64_t i = 0; i < rows; ++i) {
    std::copy_n(values.data() + i * cols, cols, columns.to + i * columns.stride);
  }
}

template <class T>
void copy_codes(const py::array& array, const std::string& name, int64_t rows,
                const std::vector<int64_t>& categories, Columns<T> columns) {
  const auto values = converted<double>(array, name);  // where every code is exact
  const auto cols = static_cast<int64_t>(categories.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      const double code = values.data()[i * cols + j];
      const int64_t most = categories[static_cast<size_t>(j)] - 1;
      if (!(code >= 0 && code <= static_cast<double>(most) && code == std::floor(code))) {
        const std::string row = array.ndim() == 2 ? base::message(" at row ", i) : "";
        const std::string got = std::isnan(code) ? "NaN" : base::message(code);
        fail<ValueError>(name, " must hold whole numbers from 0 to ", most, " in column ", j,
                         ", got ", got, row);
      }
      columns.to[i * columns.stride + j] = static_cast<T>(code);
    }
  }
}

template <class T>
void copy_input(const nn::InputSpec& input, const py::array& array, const std::string& name,
                int64_t rows, Columns<T> columns) {
  if (input.holds_codes()) {
    copy_codes(array, name, rows, input.categories, columns);
  } else {
    copy_numbers(array, name, rows, input.width, columns);
  }
}

std::vector<py::object> objects_of(const nn::Graph& graph, py::handle x, std::string_view name) {
  if (graph.inputs.size() > 1) return parts_of(input_names_of(graph), x, name, "input");
  return {py::reinterpret_borrow<py::object>(x)};
}

// An input's array, as yet unconverted, or the number of its sparse rows.
struct Given {
  py::array array;
  int64_t rows = 0;
};

template <class T>
std::unique_ptr<SparseInputs<T>> room_for_rows(const nn::Graph& graph) {
  if (!graph.has_sparse_inputs()) return nullptr;
  auto room = std::make_unique<SparseInputs<T>>();
  room->rows.resize(graph.inputs.size());
  return room;
}

template <class T>
Given given(const nn::Graph& graph, size_t i, py::handle object, const std::string& who,
            SparseInputs<T>* sparse) {
  const nn::InputSpec& input = graph.inputs[i];
  if (input.sparse) {
    sparse->rows[i] = sparse_rows<T>(object, who, input.width, sparse->arrays);
    return {{}, sparse->rows[i].rows};
  }
  py::array array = any_real_array(object, who);
  if (array.ndim() != 2 || array.shape(1) != input.width)
    fail<ValueError>(who, " must have shape ", shape_text({-1, input.width}), ", got ",
                     shape_text(array));
  if (array.shape(0) == 0)
    fail<ValueError>(who, " must have at least one row, got shape ", shape_text(array));
  const int64_t count = array.shape(0);
  return {std::move(array), count};
}

// The matrix once more, which keeps the sparse rows alive that it has the numbers of.
template <class T>
py::array_t<T> with_rows(py::array_t<T> matrix, std::unique_ptr<SparseInputs<T>> held,
                         const base::SparseRows<T>** sparse) {
  *sparse = held->rows.data();
  const T* const data = matrix.data();
  const py::array::ShapeContainer shape(matrix.shape(), matrix.shape() + matrix.ndim());
  held->arrays.push_back(std::move(matrix));
  const py::capsule owner(held.get(),
                          [](void* rows) { delete static_cast<SparseInputs<T>*>(rows); });
  held.release();
  return py::array_t<T>(shape, data, owner);
}

}  // namespace

bool is_mapping(py::handle object) {
  if (PyDict_Check(object.ptr())) return true;
  if (object.is_none() || is_plain_array(object)) return false;
  return py::isinstance(object, py::module_::import("collections.abc").attr("Mapping"));
}

std::vector<py::object> parts_of(const std::vector<std::string>& names, py::handle mapping,
                                 std::string_view argument, const char* what, bool optional) {
  if (!is_mapping(mapping)) {
    fail<TypeError>(argument, " must be a dict with an array for each ", what, " (", all_of(names),
                    "), got ", std::string(py::str(py::type::of(mapping).attr("__name__"))));
  }
  const auto kind = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(&PyDict_Type));
  const auto given = py::reinterpret_steal<py::dict>(called(kind, mapping).release());
  for (const auto& entry : given) {
    const py::handle key = entry.first;  // Clang 15 captures no structured binding
    const bool known =
        py::isinstance<py::str>(key) && std::ranges::any_of(names, [&](const std::string& name) {
          return name == std::string(py::str(key));
        });
    require<ValueError>(known, argument, " has ", std::string(py::repr(key)), ", which is no ",
                        what, ": there are ", all_of(names));
  }
  std::vector<py::object> parts;
  for (const std::string& name : names) {
    const py::str key(name);
    const bool there = given.contains(key);
    require<ValueError>(there || optional, argument, " lacks the ", what, " ", quoted(name));
    parts.push_back(there ? py::object(given[key]) : py::object(py::none()));
  }
  return parts;
}

template <class T>
py::array_t<T> input_matrix(const nn::Graph& graph, py::handle x, std::string_view name,
                            const base::SparseRows<T>** sparse) {
  if (is_plain(graph)) return finite_matrix<T>(x, name, -1, graph.inputs.front().width);
  const std::vector<py::object> objects = objects_of(graph, x, name);
  auto held = room_for_rows<T>(graph);
  std::vector<Given> all;
  for (size_t i = 0; i < objects.size(); ++i) {
    const std::string who = told(graph, graph.inputs[i], name);
    all.push_back(given<T>(graph, i, objects[i], who, held.get()));
    if (all.back().rows != all.front().rows)
      fail<ValueError>(who, " must have ", all.front().rows, " rows like ",
                       told(graph, graph.inputs.front(), name), ", got ", all.back().rows);
  }
  const int64_t rows = all.front().rows;
  require<ValueError>(held == nullptr || rows <= INT32_MAX, name, " must have at most ", INT32_MAX,
                      " rows where some are sparse, got ", rows);
  const int64_t width = graph.input_size();
  py::array_t<T> matrix = new_matrix<T>(rows, width);
  T* to = matrix.mutable_data();
  for (size_t i = 0; i < all.size(); ++i) {
    const nn::InputSpec& input = graph.inputs[i];
    if (input.sparse) {
      for (int64_t row = 0; row < rows; ++row) to[row * width] = base::row_as_number<T>(row);
    } else {
      copy_input<T>(input, all[i].array, told(graph, input, name), rows, {to, width});
    }
    to += input.columns_of_x();
  }
  if (held == nullptr) return matrix;
  return with_rows<T>(std::move(matrix), std::move(held), sparse);
}

template <class T>
py::array_t<T> input_row(const nn::Graph& graph, py::handle x, std::string_view name,
                         const base::SparseRows<T>** sparse) {
  if (is_plain(graph)) {
    const int64_t width = graph.inputs.front().width;
    auto row = real_array<T>(x, name);
    if (row.ndim() != 1 || row.shape(0) != width) {
      fail<ValueError>(name, " must have shape ", shape_text({width}), ", got ", shape_text(row));
    }
    check_finite(row, name);
    return row;
  }
  const std::vector<py::object> objects = objects_of(graph, x, name);
  auto held = room_for_rows<T>(graph);
  py::array_t<T> row(static_cast<py::ssize_t>(graph.input_size()));
  T* to = row.mutable_data();
  for (size_t i = 0; i < objects.size(); ++i) {
    const nn::InputSpec& input = graph.inputs[i];
    const std::string who = told(graph, input, name);
    if (input.sparse) {
      held->rows[i] = sparse_sample<T>(objects[i], who, input.width, held->arrays);
      *to++ = base::row_as_number<T>(0);
      continue;
    }
    const py::array array = any_real_array(objects[i], who);
    if (array.ndim() != 1 || array.shape(0) != input.width)
      fail<ValueError>(who, " must have shape ", shape_text({input.width}), ", got ",
                       shape_text(array));
    copy_input<T>(input, array, who, 1, {to, input.width});
    to += input.width;
  }
  if (held == nullptr) return row;
  return with_rows<T>(std::move(row), std::move(held), sparse);
}

template <class T>
py::object split_inputs(const nn::Graph& graph, py::array_t<T> matrix) {
  if (is_plain(graph)) return matrix;
  const int64_t rows = matrix.shape(0);
  const int64_t width = graph.input_size();
  py::dict parts;
  const T* from = matrix.data();
  for (const nn::InputSpec& input : graph.inputs) {
    if (!input.holds_codes() && !input.sparse) {
      py::array_t<T> part = new_matrix<T>(rows, input.width);
      for (int64_t i = 0; i < rows; ++i) {
        std::copy_n(from + i * width, input.width, part.mutable_data() + i * input.width);
      }
      parts[py::str(input.name)] = std::move(part);
    }
    from += input.columns_of_x();
  }
  if (graph.inputs.size() == 1) return py::none();
  return parts;
}

#define GD_INSTANTIATE(T)                                                                 \
  template py::array_t<T> input_matrix<T>(const nn::Graph&, py::handle, std::string_view, \
                                          const base::SparseRows<T>**);                   \
  template py::array_t<T> input_row<T>(const nn::Graph&, py::handle, std::string_view,    \
                                       const base::SparseRows<T>**);                      \
  template py::object split_inputs<T>(const nn::Graph&, py::array_t<T>);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::bindings

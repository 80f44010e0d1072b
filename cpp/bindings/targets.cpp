#include "bindings/targets.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "ops/elementwise.hpp"

namespace gd::bindings {

using base::fail;
using base::require;
using base::TypeError;
using base::ValueError;

namespace {

// Class labels of any shape. Where some have the label of what does not count, `given` is what they
// were and `labels` have 0 there, which nobody reads.
struct Labels {
  py::array_t<int64_t> labels;
  py::object given;  // an object: an array without a value allocates
  bool some_ignored = false;
};

Labels labels_of(const py::array& y, int64_t classes, std::optional<int64_t> ignore_index,
                 std::string_view name) {
  const char kind = y.dtype().kind();
  if (kind == 'f')
    fail<TypeError>(name, " must hold integer class labels in (N,) or probabilities in ",
                    shape_text({-1, classes}), ", got ", dtype_name(y), " of shape ",
                    shape_text(y));
  Labels found{converted<int64_t>(y, name), {}, false};
  const bool is_unsigned = kind == 'u';  // then what looks negative is just too large
  const int64_t* begin = found.labels.data();
  const int64_t* end = begin + found.labels.size();
  const auto is_wrong = [classes](int64_t label) { return label < 0 || label >= classes; };
  const auto is_ignored = [&](int64_t label) {
    return ignore_index && label == *ignore_index && !(is_unsigned && label < 0);
  };
  const int64_t* wrong = std::find_if(begin, end, is_wrong);
  const bool may_be_right = ignore_index && !is_wrong(*ignore_index);
  if (wrong == end && !may_be_right) return found;
  wrong = std::find_if(wrong, end,
                       [&](int64_t label) { return is_wrong(label) && !is_ignored(label); });
  if (wrong != end) {
    const std::string got =
        is_unsigned ? std::to_string(static_cast<uint64_t>(*wrong)) : std::to_string(*wrong);
    const std::string place = y.ndim() == 0 ? "" : base::message(" at index ", wrong - begin);
    fail<ValueError>(name, y.ndim() == 0 ? " must be a label" : " must hold labels", " from 0 to ",
                     classes - 1, ", got ", got, place);
  }
  if (std::none_of(begin, end, is_ignored)) return found;
  found.some_ignored = true;
  found.given = found.labels;
  found.labels = py::array_t<int64_t>(end - begin);
  std::replace_copy_if(begin, end, found.labels.mutable_data(), is_ignored, int64_t{0});
  return found;
}

template <class T>
void check_range(const py::array_t<T>& array, std::string_view name, T low, T high,
                 const char* expected) {
  const T* begin = array.data();
  const T* end = begin + array.size();
  const T* wrong = std::find_if(begin, end, [=](T v) { return v < low || v > high; });
  require<ValueError>(wrong == end, name, " must hold ", expected, ", got ",
                      wrong == end ? T(0) : *wrong);
}

// How far from 1 the probabilities of a row may add up to: what rounding each to bfloat16 makes at
// the most is half of it. Rows that are no distribution are further away.
constexpr double kSumTolerance = 1.0 / 256;

// Rows of class probabilities, finite and at least 0.
template <class T>
void check_sums(const T* values, int64_t rows, int64_t classes, std::string_view name) {
  for (int64_t i = 0; i < rows; ++i) {
    double sums[4] = {};  // side by side: one chain of additions would take four times as long
    const T* row = values + i * classes;
    int64_t j = 0;
    for (; j + 4 <= classes; j += 4) {
      for (int lane = 0; lane < 4; ++lane) sums[lane] += static_cast<double>(row[j + lane]);
    }
    for (; j < classes; ++j) sums[0] += static_cast<double>(row[j]);
    const double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    if (std::abs(sum - 1) <= kSumTolerance) continue;
    fail<ValueError>(name, " must hold class probabilities that add up to 1 in each row, got ", sum,
                     " in row ", i);
  }
}

template <class T>
void check_dense(const py::array_t<T>& target, const ops::LossTerms<T>& loss,
                 std::string_view name) {
  check_finite(target, name);
  const ops::Targets targets = loss.targets();
  if (targets == ops::Targets::unit) {
    check_range<T>(target, name, T(0), T(1), "probabilities within [0, 1]");
  } else if (targets == ops::Targets::counts) {
    check_range<T>(target, name, T(0), std::numeric_limits<T>::max(), "numbers of at least 0");
  } else if (targets == ops::Targets::signs) {
    const T* const end = target.data() + target.size();
    const T* const wrong = std::find_if(target.data(), end, [](T v) { return std::abs(v) != 1; });
    require<ValueError>(wrong == end, name, " must hold -1 and 1 alone, got ",
                        wrong == end ? T(0) : *wrong);
  } else if (targets == ops::Targets::categories) {
    check_range<T>(target, name, T(0), std::numeric_limits<T>::max(),
                   "class probabilities of at least 0");
    const bool is_row = target.ndim() == 1;  // of one sample
    check_sums<T>(target.data(), is_row ? 1 : target.shape()[0],
                  is_row ? target.size() : target.shape()[1], name);
  }
}

template <class T>
py::array_t<T> dense_target(const py::array& y, int64_t rows, const ops::LossTerms<T>& loss,
                            std::string_view name) {
  const int64_t outputs = loss.columns();
  auto target = real_array<T>(y, name);
  if (target.ndim() == 0) fail<ValueError>(name, " must be an array, got a single number");
  const bool one_column = outputs == 1 && target.ndim() == 1;
  if (target.shape()[0] != rows ||
      (!one_column && (target.ndim() != 2 || target.shape()[1] != outputs))) {
    const bool labels = loss.targets() == ops::Targets::categories;
    fail<ValueError>(name, " must have shape ", labels ? "(N,) of labels or " : "",
                     outputs == 1 && !labels ? shape_text({rows}) + " or " : "",
                     shape_text({rows, outputs}), labels ? " of probabilities" : "", ", got ",
                     shape_text(y));
  }
  check_dense(target, loss, name);
  return target;
}

// (rows, columns) as the kernels take it, (rows, outputs): once for each part of the outputs.
template <class T>
py::array_t<T> repeated(py::array_t<T> target, int64_t rows, int64_t columns, int64_t outputs) {
  if (columns == outputs) return target;
  py::array_t<T> result({rows, outputs});
  T* to = result.mutable_data();
  for (int64_t i = 0; i < rows; ++i) {
    const T* const row = target.data() + i * columns;
    for (int64_t part = 0; part < outputs; part += columns) to = std::copy_n(row, columns, to);
  }
  return result;
}

template <class T>
py::array_t<T> weights_of(py::handle object, int64_t rows, std::string_view name) {
  auto weights = real_array<T>(object, name);
  if (weights.ndim() != 1 || weights.shape(0) != rows)
    fail<ValueError>(name, " must have shape ", shape_text({rows}), " like x, got ",
                     shape_text(weights));
  check_finite(weights, name);
  check_range<T>(weights, name, T(0), std::numeric_limits<T>::max(), "weights of at least 0");
  const T* begin = weights.data();
  const T* end = begin + rows;
  const Vanished lost = vanished(object, weights);
  require<ValueError>(lost.count == 0, name, " must hold zeros or weights of at least ",
                      std::numeric_limits<T>::min(), " in ", kDtype<T>, ", got ", lost.first);
  // Kernels take denormals for zero; a weight must not be one thing here and another there.
  const T* tiny =
      std::find_if(begin, end, [](T w) { return w > 0 && w < std::numeric_limits<T>::min(); });
  require<ValueError>(tiny == end, name, " must hold zeros or weights of at least ",
                      std::numeric_limits<T>::min(), ", got ", tiny == end ? T(0) : *tiny);
  const double sum = ops::weighted_sum<T>({begin, static_cast<size_t>(rows)}, nullptr);
  require<ValueError>(sum > 0, name, " must not be all zero");
  require<ValueError>(std::isfinite(sum), name, " must have a finite sum, got ", sum);
  return weights;
}

// What samples count by their labels. ValueError where none does.
template <class T>
void count_labels(HeldData<T>& held, const Labels& labels, const ops::LossTerms<T>& loss,
                  const DataNames& names) {
  const int64_t rows = held.view.size();
  const T* const class_weights = loss.kernel().weighs_labels ? loss.array() : nullptr;
  if (class_weights == nullptr && !labels.some_ignored) return;
  if (labels.some_ignored) {
    py::array_t<T> weights(rows);
    const int64_t* const given = py::reinterpret_borrow<py::array_t<int64_t>>(labels.given).data();
    for (int64_t i = 0; i < rows; ++i) {
      const T weight = held.view.weights == nullptr ? T(1) : held.view.weights[i];
      weights.mutable_data()[i] = given[i] == *loss.ignore_index() ? T(0) : weight;
    }
    held.view.weights = weights.data();
    held.weights = std::move(weights);
  }
  py::array_t<double> shares(rows);
  double* const to = shares.mutable_data();
  double weight_sum = 0;
  double sum = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const double weight = held.view.weights == nullptr ? 1.0 : held.view.weights[i];
    const T of_class = class_weights == nullptr ? T(1) : class_weights[held.view.labels[i]];
    to[i] = weight * static_cast<double>(of_class);
    weight_sum += weight;
    sum += to[i];
  }
  if (!(weight_sum > 0))
    fail<ValueError>(names.y, " must hold a label that counts, beside ignore_index ",
                     *loss.ignore_index(), ", in a sample whose weight is above 0, got none");
  if (!(sum > 0))
    fail<ValueError>("class_weight must be above 0 for one of the labels in ", names.y,
                     ", got 0 for all of them");
  require<ValueError>(std::isfinite(sum), "class_weight must have a finite sum over the labels in ",
                      names.y, ", got ", sum);
  held.view.shares = to;
  held.shares = std::move(shares);
}

}  // namespace

template <class T>
HeldData<T> hold_data(py::handle x, py::handle y, py::handle sample_weight, const nn::Graph& graph,
                      const ops::LossTerms<T>& loss, const DataNames& names) {
  HeldData<T> held;
  auto inputs = input_matrix<T>(graph, x, names.x, &held.view.sparse);
  held.view.x = {inputs.data(), inputs.shape()[0], inputs.shape()[1]};
  held.x = std::move(inputs);
  hold_targets(held, y, sample_weight, graph.target_size(), loss, names);
  return held;
}

template <class T>
void hold_targets(HeldData<T>& held, py::handle y, py::handle sample_weight, int64_t outputs,
                  const ops::LossTerms<T>& loss, const DataNames& names) {
  const int64_t rows = held.view.size();
  const py::array target =
      is_ready<T>(y) ? py::reinterpret_borrow<py::array>(y) : any_real_array(y, names.y);
  std::optional<Labels> labels;
  if (loss.targets() == ops::Targets::categories && target.ndim() == 1) {
    if (target.dtype().kind() != 'f' && target.shape(0) != rows)
      fail<ValueError>(names.y, " must have shape ", shape_text({rows}), " like x, got ",
                       shape_text(target));
    labels = labels_of(target, outputs, loss.ignore_index(), names.y);
    held.view.labels = labels->labels.data();
    held.target = labels->labels;
  } else {
    auto dense =
        repeated<T>(dense_target<T>(target, rows, loss, names.y), rows, loss.columns(), outputs);
    held.view.target = {dense.data(), rows, outputs};
    held.target = std::move(dense);
  }

  if (!sample_weight.is_none()) {
    auto weights = weights_of<T>(sample_weight, rows, names.sample_weight);
    held.view.weights = weights.data();
    held.weights = std::move(weights);
  }
  if (labels) count_labels(held, *labels, loss, names);
}

namespace {

// Classes of NumPy's scalars, looked up once; NumPy stays loaded.
struct ScalarTypes {
  PyObject* float32;
  PyObject* float64;
  PyObject* integer;
  PyObject* boolean;
};

const ScalarTypes& scalar_types() {
  static const ScalarTypes types = [] {
    const py::module_ numpy = py::module_::import("numpy");
    const auto named = [&](const char* name) {
      return py::object(numpy.attr(name)).release().ptr();
    };
    return ScalarTypes{named("float32"), named("float64"), named("integer"), named("bool_")};
  }();
  return types;
}

template <class V>
py::object scalar_array(V value) {
  py::array_t<V> array(py::array::ShapeContainer{});
  *array.mutable_data() = value;
  return array;
}

// A Python number, or one of NumPy's, as an array of no dimension, which NumPy itself takes longer
// to make; any other object as it is.
py::object number_array(py::handle y) {
  PyObject* const object = y.ptr();
  auto* const type = reinterpret_cast<PyObject*>(Py_TYPE(object));
  if (PyFloat_CheckExact(object)) return scalar_array(PyFloat_AS_DOUBLE(object));
  if (PyBool_Check(object)) return scalar_array(static_cast<int64_t>(object == Py_True));
  if (PyLong_CheckExact(object)) {
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) return scalar_array(static_cast<int64_t>(value));
    return py::reinterpret_borrow<py::object>(y);
  }
  if (is_plain_array(y)) return py::reinterpret_borrow<py::object>(y);
  const ScalarTypes& types = scalar_types();
  if (type == types.boolean) {
    return scalar_array(static_cast<int64_t>(PyObject_IsTrue(object) == 1));
  }
  if (type == types.float64) return scalar_array(PyFloat_AS_DOUBLE(object));
  if (type == types.float32) {
    return scalar_array(static_cast<float>(PyFloat_AsDouble(object)));
  }
  if (PyType_IsSubtype(Py_TYPE(object), reinterpret_cast<PyTypeObject*>(types.integer)) != 0) {
    const auto whole = py::reinterpret_steal<py::object>(PyNumber_Index(object));
    if (!whole) throw py::error_already_set();
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
    if (overflow == 0) return scalar_array(static_cast<int64_t>(value));
  }
  return py::reinterpret_borrow<py::object>(y);
}

}  // namespace

template <class T>
HeldData<T> hold_sample(py::handle x, py::handle y, const nn::Graph& graph,
                        const ops::LossTerms<T>& loss) {
  HeldData<T> held;
  auto row = input_row<T>(graph, x, "x", &held.view.sparse);
  held.view.x = {row.data(), 1, row.shape()[0]};
  held.x = std::move(row);
  hold_target_of_sample(held, y, graph.target_size(), loss, "y");
  return held;
}

template <class T>
void hold_target_of_sample(HeldData<T>& held, py::handle y, int64_t outputs,
                           const ops::LossTerms<T>& loss, std::string_view name) {
  const int64_t columns = loss.columns();
  if (is_ready<T>(y) && columns == outputs) {
    auto target = py::reinterpret_borrow<py::array_t<T>>(y);
    if (target.ndim() == 1 && target.shape()[0] == outputs) {
      check_dense(target, loss, name);
      held.view.target = {target.data(), 1, outputs};
      held.target = std::move(target);
      return;
    }
  }

  const py::array target = any_real_array(number_array(y), name);
  const bool number = target.ndim() == 0;
  const bool categories = loss.targets() == ops::Targets::categories;
  if (number && categories) {
    Labels label = labels_of(target, outputs, loss.ignore_index(), name);
    held.view.labels = label.labels.data();
    held.target = label.labels;
    count_labels(held, label, loss, {"x", name, "sample_weight"});
    return;
  }
  const bool fits = number ? columns == 1 : target.ndim() == 1 && target.shape(0) == columns;
  if (!fits) {
    const char* alone = categories     ? "be one class label or "
                        : columns == 1 ? "be one number or "
                                       : "";
    fail<ValueError>(name, " must ", alone, "have shape ", shape_text({columns}),
                     categories ? " of probabilities" : "", " for one sample, got ",
                     number ? std::string("a single number") : "shape " + shape_text(target));
  }
  auto dense = converted<T>(target, name);
  check_dense(dense, loss, name);
  dense = repeated<T>(std::move(dense), 1, columns, outputs);
  held.view.target = {dense.data(), 1, outputs};
  held.target = std::move(dense);
}

template HeldData<float> hold_sample<float>(py::handle, py::handle, const nn::Graph&,
                                            const ops::LossTerms<float>&);
template HeldData<double> hold_sample<double>(py::handle, py::handle, const nn::Graph&,
                                              const ops::LossTerms<double>&);
template HeldData<float> hold_data<float>(py::handle, py::handle, py::handle, const nn::Graph&,
                                          const ops::LossTerms<float>&, const DataNames&);
template HeldData<double> hold_data<double>(py::handle, py::handle, py::handle, const nn::Graph&,
                                            const ops::LossTerms<double>&, const DataNames&);

template void hold_targets<float>(HeldData<float>&, py::handle, py::handle, int64_t,
                                  const ops::LossTerms<float>&, const DataNames&);
template void hold_targets<double>(HeldData<double>&, py::handle, py::handle, int64_t,
                                   const ops::LossTerms<double>&, const DataNames&);
template void hold_target_of_sample<float>(HeldData<float>&, py::handle, int64_t,
                                           const ops::LossTerms<float>&, std::string_view);
template void hold_target_of_sample<double>(HeldData<double>&, py::handle, int64_t,
                                            const ops::LossTerms<double>&, std::string_view);

}  // namespace gd::bindings

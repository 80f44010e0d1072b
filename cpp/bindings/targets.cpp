#include "bindings/targets.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "ops/formulas.hpp"

namespace gd::bindings {

using base::require;
using base::TypeError;
using base::ValueError;

namespace {

py::array_t<int64_t> labels_of(const py::array& y, int64_t rows, int64_t classes,
                               const std::string& name) {
  const char kind = y.dtype().kind();
  require<TypeError>(
      kind != 'f', name, " must hold integer class labels in (N,) or probabilities in ",
      shape_text({-1, classes}), ", got ", dtype_name(y), " of shape ", shape_text(y));
  require<ValueError>(y.shape(0) == rows, name, " must have shape ", shape_text({rows}),
                      " like x, got ", shape_text(y));
  const auto labels = py::array_t<int64_t>(
      y.attr("astype")("int64", py::arg("order") = "C", py::arg("copy") = false));
  const int64_t* begin = labels.data();
  const auto wrong = std::find_if(
      begin, begin + rows, [classes](int64_t label) { return label < 0 || label >= classes; });
  require<ValueError>(wrong == begin + rows, name, " must hold labels from 0 to ", classes - 1,
                      ", got ", wrong == begin + rows ? 0 : *wrong, " at index ", wrong - begin);
  return labels;
}

template <class T>
void check_range(const py::array_t<T>& array, const std::string& name, T low, T high,
                 const char* expected) {
  const T* begin = array.data();
  const T* end = begin + array.size();
  const T* wrong = std::find_if(begin, end, [=](T v) { return v < low || v > high; });
  require<ValueError>(wrong == end, name, " must hold ", expected, ", got ",
                      wrong == end ? T(0) : *wrong);
}

template <class T>
py::array_t<T> dense_target(const py::array& y, int64_t rows, int64_t outputs,
                            const std::string& loss, const std::string& name) {
  if (y.ndim() == 1 && outputs == 1) {
    return dense_target<T>(y.attr("reshape")(-1, 1), rows, outputs, loss, name);
  }
  auto target = finite_matrix<T>(y, name, rows, outputs);
  if (loss == "bce_with_logits") {
    check_range<T>(target, name, T(0), T(1), "probabilities within [0, 1] for bce_with_logits");
  } else if (ops::find_loss<T>(loss).takes_labels) {
    check_range<T>(target, name, T(0), std::numeric_limits<T>::max(),
                   "class probabilities of at least 0");
  }
  return target;
}

template <class T>
py::array_t<T> weights_of(py::handle object, int64_t rows, const std::string& name) {
  auto weights = real_array<T>(object, name);
  require<ValueError>(weights.ndim() == 1 && weights.shape(0) == rows, name, " must have shape ",
                      shape_text({rows}), " like x, got ", shape_text(weights));
  check_finite(weights, name);
  check_range<T>(weights, name, T(0), std::numeric_limits<T>::max(), "weights of at least 0");
  const T* begin = weights.data();
  require<ValueError>(std::any_of(begin, begin + rows, [](T w) { return w > 0; }), name,
                      " must not be all zero");
  return weights;
}

}  // namespace

template <class T>
HeldData<T> hold_data(py::handle x, py::handle y, py::handle sample_weight, int64_t inputs,
                      int64_t outputs, const std::string& loss, const DataNames& names) {
  HeldData<T> held;
  held.x = finite_matrix<T>(x, names.x, -1, inputs);
  const int64_t rows = held.x.shape(0);
  held.view.x = {held.x.data(), rows, inputs};

  const py::array target = any_real_array(y, names.y);
  if (ops::find_loss<T>(loss).takes_labels && target.ndim() == 1) {
    auto labels = labels_of(target, rows, outputs, names.y);
    held.view.labels = labels.data();
    held.target = std::move(labels);
  } else {
    auto dense = dense_target<T>(target, rows, outputs, loss, names.y);
    held.view.target = {dense.data(), rows, outputs};
    held.target = std::move(dense);
  }

  if (!sample_weight.is_none()) {
    auto weights = weights_of<T>(sample_weight, rows, names.sample_weight);
    held.view.weights = weights.data();
    held.weights = std::move(weights);
  }
  return held;
}

template HeldData<float> hold_data<float>(py::handle, py::handle, py::handle, int64_t, int64_t,
                                          const std::string&, const DataNames&);
template HeldData<double> hold_data<double>(py::handle, py::handle, py::handle, int64_t, int64_t,
                                            const std::string&, const DataNames&);

}  // namespace gd::bindings

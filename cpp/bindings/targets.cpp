#include "bindings/targets.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace gd::bindings {

using base::fail;
using base::require;
using base::TypeError;
using base::ValueError;

namespace {

py::array_t<int64_t> labels_of(const py::array& y, int64_t rows, int64_t classes,
                               const std::string& name) {
  const char kind = y.dtype().kind();
  if (kind == 'f')
    fail<TypeError>(name, " must hold integer class labels in (N,) or probabilities in ",
                    shape_text({-1, classes}), ", got ", dtype_name(y), " of shape ",
                    shape_text(y));
  if (y.shape(0) != rows)
    fail<ValueError>(name, " must have shape ", shape_text({rows}), " like x, got ", shape_text(y));
  py::array_t<int64_t> labels =
      is_ready<int64_t>(y)
          ? py::reinterpret_borrow<py::array_t<int64_t>>(y)
          : py::array_t<int64_t>(y.attr("astype")("int64", py::arg("order") = "C"));
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
                            const ops::LossKernel<T>& loss, const std::string& name) {
  if (y.ndim() == 1 && outputs == 1) {
    return dense_target<T>(y.attr("reshape")(-1, 1), rows, outputs, loss, name);
  }
  auto target = finite_matrix<T>(y, name, rows, outputs);
  if (loss.targets == ops::Targets::unit) {
    check_range<T>(target, name, T(0), T(1), "probabilities within [0, 1]");
  } else if (loss.targets == ops::Targets::categories) {
    check_range<T>(target, name, T(0), std::numeric_limits<T>::max(),
                   "class probabilities of at least 0");
  }
  return target;
}

template <class T>
py::array_t<T> weights_of(py::handle object, int64_t rows, const std::string& name) {
  auto weights = real_array<T>(object, name);
  if (weights.ndim() != 1 || weights.shape(0) != rows)
    fail<ValueError>(name, " must have shape ", shape_text({rows}), " like x, got ",
                     shape_text(weights));
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
                      int64_t outputs, const ops::LossKernel<T>& loss, const DataNames& names) {
  HeldData<T> held;
  auto inputs_array = finite_matrix<T>(x, names.x, -1, inputs);
  const int64_t rows = inputs_array.shape(0);
  held.view.x = {inputs_array.data(), rows, inputs};
  held.x = std::move(inputs_array);

  const py::array target = any_real_array(y, names.y);
  if (loss.targets == ops::Targets::categories && target.ndim() == 1) {
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
                                          const ops::LossKernel<float>&, const DataNames&);
template HeldData<double> hold_data<double>(py::handle, py::handle, py::handle, int64_t, int64_t,
                                            const ops::LossKernel<double>&, const DataNames&);

}  // namespace gd::bindings

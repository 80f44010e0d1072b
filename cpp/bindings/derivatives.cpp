#include "bindings/derivatives.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"

namespace gd::bindings {

using base::fail;
using base::require;
using base::ValueError;

template <class T>
HeldData<T> with_derivatives(const HeldData<T>& data, py::handle dy, int64_t outputs) {
  const int64_t rows = data.view.size(), inputs = data.view.x.cols;
  const auto given = real_array<T>(dy, "dy");
  const auto has_shape = [&](std::initializer_list<int64_t> shape) {
    return given.ndim() == static_cast<py::ssize_t>(shape.size()) &&
           std::equal(shape.begin(), shape.end(), given.shape());
  };
  if (!has_shape({rows, outputs, inputs}) && !(outputs == 1 && has_shape({rows, inputs}))) {
    fail<ValueError>("dy must have shape ", shape_text({rows, outputs, inputs}), ", of rows, ",
                     "outputs and inputs", outputs == 1 ? ", or " : "",
                     outputs == 1 ? shape_text({rows, inputs}) : "", ", got ", shape_text(given));
  }
  const T* const begin = given.data();
  const T* const end = begin + given.size();
  const T* const wrong = std::find_if(begin, end, [](T v) { return std::isinf(v); });
  require<ValueError>(wrong == end, "dy must hold finite numbers, or NaN where a derivative is ",
                      "not known, got ", wrong == end ? T(0) : *wrong, " at index ", wrong - begin);
  require<ValueError>(!std::all_of(begin, end, [](T v) { return std::isnan(v); }),
                      "dy must hold a derivative, got NaN everywhere");
  const int64_t each = outputs * inputs;
  py::array_t<T> both = new_matrix<T>(rows, outputs + each);
  T* to = both.mutable_data();
  for (int64_t i = 0; i < rows; ++i) {
    to = std::copy_n(data.view.target.row(i), outputs, to);
    to = std::copy_n(begin + i * each, each, to);
  }
  HeldData<T> held;
  held.x = data.x;
  held.weights = data.weights;
  held.view = data.view;
  held.view.target = {both.data(), rows, outputs + each, outputs + each};
  held.target = std::move(both);
  return held;
}

template HeldData<float> with_derivatives(const HeldData<float>&, py::handle, int64_t);
template HeldData<double> with_derivatives(const HeldData<double>&, py::handle, int64_t);

}  // namespace gd::bindings

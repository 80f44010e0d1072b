#include "bindings/arrays.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "ops/elementwise.hpp"
#include "parallel/cpus.hpp"
#include "profiling/recorder.hpp"

namespace gd::bindings {

using base::fail;
using base::require;
using base::TypeError;
using base::ValueError;

namespace {

bool is_real(char kind) { return kind == 'b' || kind == 'i' || kind == 'u' || kind == 'f'; }

// As NumPy sees it; gdcore/_frames.py knows what else there is, and tells what is wrong with it.
py::object as_array(py::handle object, std::string_view name) {
  return called(py::module_::import("gdcore._frames").attr("array"), object,
                py::str(name.data(), name.size()));
}

// Float64 numbers beyond float32 become infinite; NumPy's warning would come before our error.
py::object cast(const py::array& array, const char* dtype) {
  py::dict all_quiet;
  all_quiet["all"] = "ignore";
  const py::object quiet = called_with(py::module_::import("numpy").attr("errstate"), all_quiet);
  const py::object leave = quiet.attr("__exit__");
  const py::none none;
  called(quiet.attr("__enter__"));
  py::object result;
  try {
    result = called(array.attr("astype"), py::str(dtype), py::str("C"));
  } catch (py::error_already_set&) {
    called(leave, none, none, none);
    throw;
  }
  called(leave, none, none, none);
  return result;
}

// The same for arrays of a common type as they lie, without the two microseconds of NumPy's
// context.
template <class T, class From>
bool convert(const py::array& array, py::array_t<T>* converted) {
  if (!is_ready<From>(array)) return false;
  *converted =
      py::array_t<T>(py::array::ShapeContainer(array.shape(), array.shape() + array.ndim()));
  const auto* from = static_cast<const From*>(array.data());
  std::transform(from, from + array.size(), converted->mutable_data(),
                 [](From value) { return static_cast<T>(value); });
  return true;
}

template <class T>
[[noreturn]] void fail_not_finite(const py::array_t<T>& array, std::string_view name) {
  const T* begin = array.data();
  const T* wrong =
      std::find_if(begin, begin + array.size(), [](T value) { return !std::isfinite(value); });
  const int64_t at = wrong - begin;
  std::string place;
  if (array.ndim() == 1) place = base::message(" at index ", at);
  if (array.ndim() == 2) {
    const auto columns = static_cast<int64_t>(array.shape(1));
    place = base::message(" at row ", at / columns, ", column ", at % columns);
  }
  fail<ValueError>(name, " must be finite in ", kDtype<T>, ", got ",
                   std::isnan(*wrong) ? "NaN" : "infinity", place);
}

}  // namespace

py::array any_real_array(py::handle object, std::string_view name) {
  if (py::isinstance<py::array>(object) && !is_plain_array(object) && py::hasattr(object, "mask")) {
    fail<TypeError>(name, " must not be a masked array: fill or drop what is masked first");
  }
  const py::object plain =
      is_plain_array(object) ? py::reinterpret_borrow<py::object>(object) : as_array(object, name);
  // What a subclass overrides counts no more from here on: it may say anything.
  require<TypeError>(is_plain_array(plain), name, " cannot be made a NumPy array");
  auto array = py::reinterpret_borrow<py::array>(plain);
  if (!is_real(array.dtype().kind())) {
    fail<TypeError>(name, " must hold real numbers, got dtype ", dtype_name(array));
  }
  return array;
}

namespace {

// Tells a recording that an array is converted from here to the end of the scope, if it is so large
// that telling takes no time beside it.
class Conversion {
 public:
  Conversion(const py::array& array, std::string_view name, const char* to)
      : since_(profiling::Recorder::on() && array.size() >= kLeast ? profiling::ticks() : 0) {
    if (since_ == 0) return;
    const bool fortran = (array.flags() & py::array::f_style) != 0 && array.ndim() > 1;
    const char* order = fortran                              ? " (Fortran)"
                        : (array.flags() & kContiguous) != 0 ? ""
                                                             : " (strided)";
    what_ = base::message(name, ": ", dtype_name(array), order, " to ", to);
  }
  ~Conversion() {
    if (since_ == 0) return;
    profiling::Recorder::instance().mark_since(
        since_, profiling::Zone::kCaller,
        {profiling::Zone::kConvert, profiling::Zone::kData, what_, ""});
  }
  Conversion(const Conversion&) = delete;
  Conversion& operator=(const Conversion&) = delete;

 private:
  static constexpr py::ssize_t kLeast = 2048;

  uint64_t since_;
  std::string what_;
};

}  // namespace

template <class T>
py::array_t<T> converted(const py::array& array, std::string_view name) {
  if (is_ready<T>(array)) return py::reinterpret_borrow<py::array_t<T>>(array);
  const Conversion recorded(array, name, kDtype<T>);
  py::array_t<T> result;
  const bool common = convert<T, double>(array, &result) || convert<T, float>(array, &result) ||
                      convert<T, int64_t>(array, &result);
  if (common) return result;
  const py::object made = cast(array, kDtype<T>);
  // Pointers are read from here on, so that nothing is taken on trust.
  require<TypeError>(is_ready<T>(made), name, " was not converted to a C-contiguous array of ",
                     kDtype<T>);
  result = py::reinterpret_borrow<py::array_t<T>>(made);
  require<TypeError>(same_shape(result, array), name, " changed its shape when it was converted");
  return result;
}

template <class T>
py::array_t<T> real_array(py::handle object, std::string_view name) {
  if (is_ready<T>(object)) return py::reinterpret_borrow<py::array_t<T>>(object);
  return converted<T>(any_real_array(object, name), name);
}

template <class T>
void check_finite(const py::array_t<T>& array, std::string_view name) {
  const std::span<const T> values(array.data(), static_cast<size_t>(array.size()));
  if (!ops::all_finite(values)) fail_not_finite(array, name);
}

template <class T>
Vanished vanished(py::handle object, const py::array_t<T>& converted) {
  Vanished found;
  if (sizeof(T) == sizeof(double) || is_ready<T>(object)) return found;
  const auto tiny = [](T value) { return std::abs(value) < std::numeric_limits<T>::min(); };
  const T* begin = converted.data();
  if (std::none_of(begin, begin + converted.size(), tiny)) return found;
  const auto before = real_array<double>(object, "object");
  for (int64_t i = 0; i < converted.size(); ++i) {
    if (before.data()[i] == 0 || !tiny(begin[i])) continue;
    if (found.count++ == 0) found.first = before.data()[i];
  }
  return found;
}

template <class T>
py::array_t<T> finite_matrix(py::handle object, std::string_view name, int64_t rows, int64_t cols) {
  py::array_t<T> array = real_array<T>(object, name);
  const bool fits =
      array.ndim() == 2 && (rows < 0 || array.shape()[0] == rows) && array.shape()[1] == cols;
  if (!fits)
    fail<ValueError>(name, " must have shape ", shape_text({rows, cols}), ", got ",
                     shape_text(array));
  if (array.shape()[0] == 0)
    fail<ValueError>(name, " must have at least one row, got shape ", shape_text(array));
  check_finite(array, name);
  return array;
}

std::string dtype_name(const py::array& array) { return py::str(array.dtype()); }

bool same_shape(const py::array& a, const py::array& b) {
  return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

std::string shape_text(std::initializer_list<int64_t> shape) {
  std::string text;
  for (const int64_t size : shape) {
    text += (text.empty() ? "" : ", ") + (size < 0 ? std::string("N") : std::to_string(size));
  }
  return "(" + text + (shape.size() == 1 ? ",)" : ")");
}

std::string shape_text(const py::array& array) { return py::str(array.attr("shape")); }

int resolve_threads(std::optional<int> num_threads) {
  return parallel::num_threads(num_threads).count;
}

int64_t check_batch_size(int64_t batch_size) {
  require<ValueError>(batch_size >= 1, "batch_size must be at least 1, got ", batch_size);
  return batch_size;
}

template py::array_t<int64_t> converted<int64_t>(const py::array&, std::string_view);
template py::array_t<float> converted<float>(const py::array&, std::string_view);
template py::array_t<double> converted<double>(const py::array&, std::string_view);
template py::array_t<float> real_array<float>(py::handle, std::string_view);
template py::array_t<double> real_array<double>(py::handle, std::string_view);
template Vanished vanished<float>(py::handle, const py::array_t<float>&);
template Vanished vanished<double>(py::handle, const py::array_t<double>&);
template void check_finite<float>(const py::array_t<float>&, std::string_view);
template void check_finite<double>(const py::array_t<double>&, std::string_view);
template py::array_t<float> finite_matrix<float>(py::handle, std::string_view, int64_t, int64_t);
template py::array_t<double> finite_matrix<double>(py::handle, std::string_view, int64_t, int64_t);

}  // namespace gd::bindings

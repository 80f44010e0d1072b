#include <pybind11/stl.h>

#include <algorithm>

#include "base/check.hpp"
#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "train/array_updater.hpp"

namespace gd::bindings {

using base::fail;
using base::require;
using base::TypeError;
using base::ValueError;

namespace {

bool same_shape(const py::array& a, const py::array& b) {
  return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

// An array may have been resized, retyped or locked since it was bound.
template <class T>
T* bound_pointer(const py::array& array, int64_t size, std::string_view name) {
  if (!is_ready<T>(array) || array.size() != size || !array.writeable()) {
    fail<ValueError>(name, " must still be a writable, C-contiguous ", kDtype<T>, " array of ",
                     size, " elements, as when it was bound; got ", dtype_name(array), " of shape ",
                     shape_text(array), array.writeable() ? "" : ", read-only");
  }
  return static_cast<T*>(const_cast<void*>(array.data()));
}

template <class T>
bool overlap(const T* a, int64_t a_size, const T* b, int64_t b_size) {
  return a < b + b_size && b < a + a_size;
}

template <class T>
void step(train::ArrayUpdater<T>& self, const std::vector<py::array>& weights,
          const std::vector<py::object>& gradients) {
  require<ValueError>(gradients.size() == weights.size(), "gradients must hold ", weights.size(),
                      " arrays, one for each bound array, got ", gradients.size());
  std::vector<py::array_t<T>> held;
  std::vector<T*> to;
  std::vector<const T*> from;
  for (size_t i = 0; i < weights.size(); ++i) {
    to.push_back(bound_pointer<T>(weights[i], self.sizes()[i], base::message("arrays[", i, "]")));
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    const std::string name = base::message("gradients[", i, "]");
    auto gradient = real_array<T>(gradients[i], name);
    if (!same_shape(gradient, weights[i])) {
      fail<ValueError>(name, " must have shape ", shape_text(weights[i]), ", got ",
                       shape_text(gradient));
    }
    check_finite(gradient, name);
    for (size_t j = 0; j < weights.size(); ++j) {
      require<ValueError>(!overlap(to[j], weights[j].size(), gradient.data(), gradient.size()),
                          name, " must not share memory with arrays[", j, "]");
    }
    from.push_back(gradient.data());
    held.push_back(std::move(gradient));
  }
  const py::gil_scoped_release release;
  self.step(to, from);
}

template <class T>
void bind_rule_of(py::module_& m, const char* name) {
  using Updater = train::ArrayUpdater<T>;
  py::class_<Updater>(m, name)
      .def(py::init<std::string, std::vector<double>, std::vector<int64_t>>(), py::arg("rule"),
           py::arg("hyper"), py::arg("sizes"))
      .def_property("lr", &Updater::lr, &Updater::set_lr)
      .def("step", step<T>, py::arg("weights"), py::arg("gradients"));
}

}  // namespace

void bind_rules(py::module_& m) {
  bind_rule_of<float>(m, "Rule32");
  bind_rule_of<double>(m, "Rule64");
}

}  // namespace gd::bindings

#include <pybind11/stl.h>

#include <algorithm>

#include "base/check.hpp"
#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "bindings/groups.hpp"
#include "train/array_updater.hpp"

namespace gd::bindings {

using base::fail;
using base::require;
using base::TypeError;
using base::ValueError;

namespace {

// An array may have been resized, retyped or locked since it was bound.
template <class T>
T* bound_pointer(py::handle object, int64_t size, size_t index) {
  const auto array = py::reinterpret_borrow<py::array>(object);
  if (!is_ready<T>(array) || array.size() != size || !array.writeable()) {
    fail<ValueError>("arrays[", index, "] must still be a writable, C-contiguous ", kDtype<T>,
                     " array of ", size, " elements, as when it was bound; got ", dtype_name(array),
                     " of shape ", shape_text(array), array.writeable() ? "" : ", read-only");
  }
  return static_cast<T*>(const_cast<void*>(array.data()));
}

template <class T>
bool overlap(const T* a, const T* b, int64_t b_size, int64_t a_size) {
  return a < b + b_size && b < a + a_size;
}

// One gradient, of the shape of the weights. Its name is made only for those that need it.
template <class T>
py::array_t<T> gradient_for(py::handle object, const py::array& weights, size_t index) {
  const auto name = [&] { return base::message("gradients[", index, "]"); };
  auto gradient = is_ready<T>(object) ? py::reinterpret_borrow<py::array_t<T>>(object)
                                      : real_array<T>(object, name());
  if (!same_shape(gradient, weights)) {
    fail<ValueError>(name(), " must have shape ", shape_text(weights), ", got ",
                     shape_text(gradient));
  }
  return gradient;
}

// `arrays` are those the rule was bound to.
template <class T>
void step(train::ArrayUpdater<T>& self, const py::list& arrays, const py::list& gradients,
          bool checks_finite) {
  const size_t count = arrays.size();
  require<ValueError>(gradients.size() == count, "gradients must hold ", count,
                      " arrays, one for each bound array, got ", gradients.size());
  std::vector<py::array_t<T>> held;
  std::vector<T*> to;
  std::vector<std::span<const T>> from;
  to.reserve(count);
  held.reserve(count);
  from.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    to.push_back(bound_pointer<T>(arrays[i], self.sizes()[i], i));
  }
  for (size_t i = 0; i < count; ++i) {
    held.push_back(gradient_for<T>(gradients[i], py::reinterpret_borrow<py::array>(arrays[i]), i));
    from.emplace_back(held.back().data(), static_cast<size_t>(self.sizes()[i]));
    for (size_t j = 0; j < count; ++j) {
      require<ValueError>(!overlap(to[j], from[i].data(), self.sizes()[i], self.sizes()[j]),
                          "gradients[", i, "] must not share memory with arrays[", j, "]");
    }
  }
  std::optional<size_t> wrong;
  {
    const WithoutGil released;
    wrong = self.step(to, from, checks_finite);
  }
  if (wrong) {
    fail<ValueError>("gradients[", *wrong, "] must be finite in ", kDtype<T>,
                     ", got NaN or infinity");
  }
}

template <class T>
void bind_rule_of(py::module_& m, const char* name) {
  using Updater = train::ArrayUpdater<T>;
  py::class_<Updater>(m, name)
      .def(py::init([](std::string rule, std::vector<double> hyper,
                       const std::vector<std::vector<int64_t>>& shapes, const Groups& groups,
                       const std::vector<int>& group_of, const Wrappers& wrappers) {
             std::vector<int64_t> sizes;
             for (const auto& shape : shapes) {
               int64_t size = 1;
               for (const int64_t each : shape) size *= each;
               sizes.push_back(size);
             }
             return std::make_unique<Updater>(std::move(rule), std::move(hyper), std::move(sizes),
                                              groups_of(groups), group_of, wrappers_of(wrappers),
                                              shapes);
           }),
           py::arg("rule"), py::arg("hyper"), py::arg("shapes"), py::arg("groups") = Groups(),
           py::arg("group_of") = std::vector<int>(), py::arg("wrappers") = Wrappers())
      .def_property("lr", &Updater::lr, &Updater::set_lr)
      .def_property_readonly("steps", &Updater::steps)
      .def("set_hyper", &Updater::set_hyper, py::arg("group"), py::arg("index"), py::arg("value"))
      .def("step", step<T>, py::arg("arrays"), py::arg("gradients"), py::arg("check_finite"));
}

}  // namespace

void bind_rules(py::module_& m) {
  bind_rule_of<float>(m, "Rule32");
  bind_rule_of<double>(m, "Rule64");
}

}  // namespace gd::bindings

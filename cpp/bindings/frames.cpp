#include "bindings/frames.hpp"

#include <pybind11/stl.h>

namespace gd::bindings {

namespace {

py::object frames(const char* function) {
  return py::module_::import("gdcore._frames").attr(function);
}

py::str text(std::string_view view) { return py::str(view.data(), view.size()); }

}  // namespace

py::object names_or_none(const Names& names) {
  return names.empty() ? py::object(py::none()) : py::object(py::tuple(py::cast(names)));
}

py::object ordered_table(py::handle x, std::string_view argument, const Names& names,
                         const char* dtype) {
  return frames("ordered")(x, text(argument), names_or_none(names), dtype);
}

py::object ordered_row(py::handle x, std::string_view argument, const Names& names) {
  return frames("ordered_row")(x, text(argument), names_or_none(names));
}

Names names_of(py::handle x) {
  const py::object names = frames("feature_names")(x);
  return names.is_none() ? Names{} : names.cast<Names>();
}

}  // namespace gd::bindings

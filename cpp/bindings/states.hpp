#pragma once

// Parameters between the flat order of nn and dicts of arrays.

#include <algorithm>
#include <vector>

#include "base/check.hpp"
#include "bindings/arrays.hpp"
#include "nn/network.hpp"

namespace gd::bindings {

// (units, inputs) for a weight, (units,) for a bias.
inline std::vector<py::ssize_t> shape_of(const nn::Parameter& parameter) {
  return {parameter.shape.begin(), parameter.shape.end()};
}

// A dict of arrays, one a parameter, from values one after the other.
template <class T, class Values>
py::dict split_by_name(const std::vector<nn::Parameter>& parameters, const Values* from) {
  py::dict result;
  for (const nn::Parameter& parameter : parameters) {
    py::array_t<T> array(shape_of(parameter));
    std::copy_n(from, parameter.size(), array.mutable_data());
    from += parameter.size();
    result[py::str(parameter.name)] = std::move(array);
  }
  return result;
}

// The same from what `copy(to)` writes without the GIL.
template <class T, class Copy>
py::dict named_arrays(const nn::Network<T>& network, Copy&& copy) {
  std::vector<T> values(static_cast<size_t>(network.num_parameters()));
  {
    const WithoutGil released;
    copy(values.data());
  }
  return split_by_name<T>(network.parameters(), values.data());
}

// The values of a parameter, or an error that names it as an entry of `argument`.
template <class T>
py::array_t<T> checked_parameter(const nn::Parameter& parameter, py::handle values,
                                 const std::string& argument = "state") {
  const std::string name = argument + "['" + parameter.name + "']";
  const auto array = real_array<T>(values, name);
  const std::vector<py::ssize_t> shape = shape_of(parameter);
  const bool fits = array.ndim() == static_cast<py::ssize_t>(shape.size()) &&
                    std::equal(shape.begin(), shape.end(), array.shape());
  if (!fits)
    base::fail<base::ValueError>(name, " must have shape ",
                                 std::string(py::str(py::tuple(py::cast(shape)))), ", got ",
                                 shape_text(array));
  check_finite(array, name);
  if (const Vanished lost = vanished<T>(values, array); lost.count > 0) {
    const std::string words =
        base::message(name, " holds numbers that are taken for 0 in ", kDtype<T>, ": ", lost.count,
                      ", the first ", lost.first);
    // Of who called load_state_dict.
    if (PyErr_WarnEx(PyExc_UserWarning, words.c_str(), 2) != 0) throw py::error_already_set();
  }
  return array;
}

// Whether the entry is trained; what is not lies in a buffer of its own.
template <class T>
bool is_trained(const nn::Network<T>& network, const nn::Parameter& entry) {
  const auto& all = network.parameters();
  return !all.empty() && &entry >= all.data() && &entry < all.data() + all.size();
}

// Parameters, and then what layers keep beside.
template <class T>
std::vector<const nn::Parameter*> all_entries(const nn::Network<T>& network) {
  std::vector<const nn::Parameter*> all;
  for (const auto* part : {&network.parameters(), &network.kept()}) {
    for (const nn::Parameter& entry : *part) all.push_back(&entry);
  }
  return all;
}

// The entry of that name.
template <class T>
const nn::Parameter& parameter_named(const nn::Network<T>& network, const std::string& name) {
  for (const nn::Parameter* entry : all_entries(network)) {
    if (entry->name == name) return *entry;
  }
  base::fail<base::ValueError>("the network has no parameter '", name, "'");
}

// All values of a dict one after the other, parameters and then what is kept beside, or an error
// that names the key.
template <class T>
std::vector<T> checked_state(const nn::Network<T>& network, const py::dict& state) {
  using base::fail;
  using base::require;
  using base::ValueError;
  const std::vector<const nn::Parameter*> all = all_entries(network);
  std::vector<T> values;
  values.reserve(static_cast<size_t>(network.num_parameters() + network.state_size()));
  std::string missing;
  for (const nn::Parameter* entry : all) {
    if (!state.contains(entry->name)) {
      missing += (missing.empty() ? "'" : ", '") + entry->name + "'";
    }
  }
  require<ValueError>(missing.empty(), "state lacks the keys ", missing);
  std::string extra;
  for (const auto& entry : state) {
    const py::handle key = entry.first;  // Clang 15 captures no structured binding
    const bool known = py::isinstance<py::str>(key) &&
                       std::any_of(all.begin(), all.end(), [&](const nn::Parameter* own) {
                         return own->name == std::string(py::str(key));
                       });
    if (!known) extra += (extra.empty() ? "" : ", ") + std::string(py::repr(key));
  }
  require<ValueError>(extra.empty(), "state has keys that the network has not: ", extra);

  for (const nn::Parameter* entry : all) {
    const auto array = checked_parameter<T>(*entry, state[py::str(entry->name)]);
    values.insert(values.end(), array.data(), array.data() + array.size());
  }
  return values;
}

}  // namespace gd::bindings

#include <pybind11/stl.h>

#include <algorithm>
#include <tuple>

#include "base/check.hpp"
#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "bindings/classes.hpp"
#include "bindings/frames.hpp"
#include "bindings/inputs.hpp"
#include "bindings/states.hpp"
#include "layers/registry.hpp"

namespace gd::bindings {

namespace {

// Of each its name, its shape, and what all of it is at first.
using FreeParameters = std::vector<std::tuple<std::string, std::vector<int64_t>, double>>;

std::vector<nn::EntrySpec> entries_of(const FreeParameters& free) {
  std::vector<nn::EntrySpec> entries;
  for (const auto& [name, shape, init] : free) {
    nn::EntrySpec entry;
    entry.name = name;
    entry.cols = 1;
    for (const int64_t size : shape) {
      entry.cols = base::checked_product(entry.cols, size, "elements of a parameter");
    }
    base::checked_product(entry.cols, sizeof(double), "bytes of a parameter");
    entry.constant = init;
    entry.shape = shape;
    entries.push_back(entry);
  }
  return entries;
}

// Name, columns, categories of an input, and whether its rows are sparse.
using InputTuple = std::tuple<std::string, int64_t, std::vector<int64_t>, bool>;

using HeadTuple = std::pair<std::string, int>;

template <class T>
nn::Graph graph_from(std::vector<nn::LayerSpec> layers, const std::vector<InputTuple>& inputs,
                     const std::vector<HeadTuple>& heads, const FreeParameters& free) {
  std::vector<nn::InputSpec> specs;
  for (const auto& [name, width, categories, sparse] : inputs) {
    specs.emplace_back(name, width, categories, sparse);
  }
  std::vector<nn::Head> named;
  for (const auto& [name, node] : heads) {
    if (!name.empty()) named.push_back({name, node});
  }
  auto graph = layers::graph_of<T>(std::move(layers), std::move(specs), std::move(named));
  graph.free = entries_of(free);
  return graph;
}

// x as the network takes it, or what `joined` made of it.
template <class T>
py::array_t<T> checked_x(train::Model<T>& model, py::handle x, bool joined,
                         const base::SparseRows<T>** sparse) {
  const nn::Graph& graph = model.description().graph();
  if (joined) return finite_matrix<T>(x, "x", -1, model.description().input_size());
  return input_matrix<T>(graph, in_order(model, x), "x", sparse);
}

// The gradients at the parameters of no layer one after the other; empty where there are none.
template <class T>
std::vector<T> free_gradients(const nn::Network<T>& network, const std::optional<py::dict>& given) {
  std::vector<T> values;
  if (!given) return values;
  size_t found = 0;
  for (const nn::Parameter& parameter : network.free_parameters()) {
    const py::str key(parameter.name);
    if (!given->contains(key)) {
      values.resize(values.size() + static_cast<size_t>(parameter.size()));
      continue;
    }
    const auto array = checked_parameter<T>(parameter, (*given)[key], "parameters");
    values.insert(values.end(), array.data(), array.data() + array.size());
    ++found;
  }
  for (const auto& entry : *given) {
    if (found == given->size()) break;
    const py::handle key = entry.first;
    const auto is_key = [&](const nn::Parameter& parameter) {
      return py::isinstance<py::str>(key) && parameter.name == std::string(py::str(key));
    };
    base::require<base::ValueError>(std::ranges::any_of(network.free_parameters(), is_key),
                                    "parameters has the key ", std::string(py::repr(key)),
                                    ", which is no parameter beside the network's layers");
  }
  return values;
}

template <class T>
void bind_network_of(py::module_& m, const char* name) {
  using Model = train::Model<T>;
  using Array = py::array_t<T>;

  auto cls = py::class_<Model, ModelPointer<T>>(m, name);
  cls.def(
      py::init([](std::vector<nn::LayerSpec> layers, const std::vector<InputTuple>& inputs,
                  const std::vector<HeadTuple>& heads, uint64_t seed, const FreeParameters& free) {
        return std::make_shared<Model>(graph_from<T>(std::move(layers), inputs, heads, free), seed);
      }),
      py::arg("layers"), py::arg("inputs"), py::arg("heads"), py::arg("seed"),
      py::arg("free") = FreeParameters());
  cls.def_property_readonly(
      "input_size", [](const Model& self) { return self.description().graph().features(); });
  cls.def_property_readonly("output_size",
                            [](const Model& self) { return self.description().output_size(); });
  // Name and size of each output with a name.
  cls.def_property_readonly("heads", [](const Model& self) {
    const nn::Graph& graph = self.description().graph();
    std::vector<std::pair<std::string, int64_t>> heads;
    for (const nn::Head& head : graph.heads) heads.emplace_back(head.name, graph.width(head.node));
    return heads;
  });
  cls.def_property_readonly("members",
                            [](const Model& self) { return self.description().members(); });
  // Of parameters, and of what layers keep beside.
  const auto names_of = [](const std::vector<nn::Parameter>& entries) {
    std::vector<std::string> names;
    for (const nn::Parameter& entry : entries) names.push_back(entry.name);
    return names;
  };
  cls.def_property_readonly("parameter_names", [names_of](const Model& self) {
    return names_of(self.description().parameters());
  });
  cls.def_property_readonly(
      "kept_names", [names_of](const Model& self) { return names_of(self.description().kept()); });
  // Name and kind of each layer.
  cls.def_property_readonly("layers", [](const Model& self) {
    std::vector<std::pair<std::string, std::string>> layers;
    for (const nn::Node& node : self.description().graph().nodes) {
      layers.emplace_back(node.spec.name, node.spec.kind);
    }
    return layers;
  });
  // Of a description alone, before anything of its size is allocated.
  cls.def_static(
      "shapes",
      [](std::vector<nn::LayerSpec> layers, const std::vector<InputTuple>& inputs,
         const std::vector<HeadTuple>& heads, const FreeParameters& free) {
        py::dict shapes;
        for (const nn::Node& node : graph_from<T>(std::move(layers), inputs, heads, free).nodes) {
          for (const nn::EntrySpec& entry : node.entries) {
            shapes[py::str(node.spec.name + '.' + entry.name)] =
                py::tuple(py::cast(entry.outer_shape()));
          }
        }
        for (const nn::EntrySpec& entry : entries_of(free)) {
          shapes[py::str(entry.name)] = py::tuple(py::cast(*entry.shape));
        }
        return shapes;
      },
      py::arg("layers"), py::arg("inputs"), py::arg("heads"), py::arg("free") = FreeParameters());
  // Of each layer its name, width, number of parameters and forward FLOPs of a sample.
  cls.def("layer_table", [](Model& self) {
    py::list rows;
    const nn::Network<T>& network = self.description();
    const nn::Graph& graph = network.graph();
    const std::vector<int64_t> flops = without_gil([&] { return self.forward_flops(); });
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const nn::Node& node = graph.nodes[i];
      int64_t parameters = 0;
      for (const nn::EntrySpec& entry : node.entries) {
        if (entry.role == nn::Role::parameter) parameters += entry.size();
      }
      rows.append(py::make_tuple(node.spec.name, node.width, parameters, flops[i]));
    }
    return rows;
  });
  cls.def_property_readonly("num_parameters",
                            [](const Model& self) { return self.description().num_parameters(); });

  // All inputs side by side, (N, input_size), as forward and predict take them once more. None is
  // sparse.
  cls.def(
      "joined",
      [](Model& self, py::handle x, const std::string& argument) {
        const base::SparseRows<T>* none = nullptr;
        return input_matrix<T>(self.description().graph(), in_order(self, x, argument), argument,
                               &none);
      },
      py::arg("x"), py::arg("name"));

  cls.def(
      "forward",
      [](Model& self, py::handle x_in, bool training, std::optional<int> num_threads, bool joined) {
        const base::SparseRows<T>* sparse = nullptr;
        const auto x = checked_x(self, x_in, joined, &sparse);
        const int64_t rows = x.shape(0);
        const int threads = resolve_threads(num_threads);
        Array out = new_matrix<T>(rows, self.description().output_size());
        const T* from = x.data();
        T* to = out.mutable_data();
        Interrupts interrupts;
        without_gil([&] {
          if (training) {
            self.forward_training(from, rows, threads, to, sparse);
          } else {
            self.predict(from, rows, rows, threads, to, interrupts, profiling::Purpose::inference,
                         Model::Of::members, sparse);
          }
        });
        interrupts.rethrow();
        return out;
      },
      py::arg("x"), py::arg("training"), py::arg("num_threads"), py::arg("joined") = false);

  // The outputs of one sample, (outputs,), on one thread. x as learn_one takes it.
  cls.def(
      "forward_one",
      [](Model& self, py::handle x_in) {
        const base::SparseRows<T>* sparse = nullptr;
        const auto x = input_row<T>(self.description().graph(), x_in, "x", &sparse);
        Array out(static_cast<py::ssize_t>(self.description().output_size()));
        const T* from = x.data();
        T* to = out.mutable_data();
        Interrupts interrupts;
        without_gil([&] {
          self.predict(from, 1, 1, 1, to, interrupts, profiling::Purpose::inference,
                       Model::Of::members, sparse);
        });
        interrupts.rethrow();
        return out;
      },
      py::arg("x"));

  cls.def(
      "predict",
      [](Model& self, py::handle x_in, std::optional<int64_t> batch_size,
         std::optional<int> num_threads, bool validates, bool joined, bool apart) {
        const base::SparseRows<T>* sparse = nullptr;
        const auto x = checked_x(self, x_in, joined, &sparse);
        const int64_t rows = x.shape(0);
        const int64_t at_once = check_batch_size(batch_size.value_or(train::kDefaultBatch));
        const int threads = resolve_threads(num_threads);
        using Of = typename Model::Of;
        const auto& network = self.description();
        const Of of = apart ? Of::members : Of::ensemble;
        Array out = new_matrix<T>(rows, apart ? network.output_size() : network.target_size());
        const T* from = x.data();
        T* to = out.mutable_data();
        Interrupts interrupts;
        const auto purpose =
            validates ? profiling::Purpose::validation : profiling::Purpose::inference;
        without_gil([&] {
          self.predict(from, rows, at_once, threads, to, interrupts, purpose, of, sparse);
        });
        interrupts.rethrow();
        return out;
      },
      py::arg("x"), py::arg("batch_size"), py::arg("num_threads"), py::arg("validates") = false,
      py::arg("joined") = false, py::arg("apart") = false);

  cls.def(
      "backward",
      [](Model& self, py::handle grad_output, bool accumulate,
         const std::optional<py::dict>& parameters) {
        const int64_t rows = without_gil([&] { return self.rows_kept(); });
        const auto gradient =
            finite_matrix<T>(grad_output, "grad_output", rows, self.description().output_size());
        const std::vector<T> free = free_gradients<T>(self.description(), parameters);
        Array out = new_matrix<T>(rows, self.description().input_size());
        const T* from = gradient.data();
        T* to = out.mutable_data();
        without_gil(
            [&] { self.backward(from, rows, accumulate, to, parameters ? free.data() : nullptr); });
        return split_inputs<T>(self.description().graph(), std::move(out));
      },
      py::arg("grad_output"), py::arg("accumulate"), py::arg("parameters") = py::none());

  // (outputs, derivatives)
  cls.def(
      "jacobian",
      [](Model& self, py::handle x_in) {
        const auto& description = self.description();
        const base::SparseRows<T>* sparse = nullptr;
        const auto x = checked_x(self, x_in, false, &sparse);
        const int64_t rows = x.shape(0);
        const int64_t outputs = description.output_size(), inputs = description.input_size();
        base::checked_product(base::checked_product(rows, outputs, "derivatives"), inputs,
                              "derivatives");
        Array out({rows, outputs, inputs});
        Array values = new_matrix<T>(rows, outputs);
        const T* from = x.data();
        T* to = out.mutable_data();
        T* to_values = values.mutable_data();
        const int threads = resolve_threads(std::nullopt);
        Interrupts interrupts;
        without_gil([&] { self.jacobian(from, rows, threads, to_values, to, interrupts, sparse); });
        interrupts.rethrow();
        return py::make_tuple(std::move(values), std::move(out));
      },
      py::arg("x"));
  // (N, units), the sums of a dense layer before its activation, or the output of another.
  cls.def(
      "layer_output",
      [](Model& self, const std::string& layer, py::handle x_in) {
        const base::SparseRows<T>* sparse = nullptr;
        const auto x = checked_x(self, x_in, false, &sparse);
        const int64_t rows = x.shape(0);
        const T* from = x.data();
        const int threads = resolve_threads(std::nullopt);
        std::vector<T> found;
        without_gil([&] { self.layer_output(layer, from, rows, threads, found, sparse); });
        Array out = new_matrix<T>(rows, self.layer_width(layer));
        std::copy_n(found.data(), found.size(), out.mutable_data());
        return out;
      },
      py::arg("layer"), py::arg("x"));
  cls.def(
      "soft_update",
      [](Model& self, Model& other, double tau) {
        without_gil([&] { self.soft_update(other, tau); });
      },
      py::arg("other"), py::arg("tau"));
  // Copies of the parameters that are no layer's.
  cls.def("free_parameters", [](Model& self) {
    py::dict result;
    const auto free = self.description().free_parameters();
    if (free.empty()) return result;
    py::dict all = named_arrays<T>(self.description(), [&](T* to) { self.copy_values(to); });
    for (const nn::Parameter& parameter : free) {
      const py::str key(parameter.name);
      result[key] = all[key];
    }
    return result;
  });

  // Of each of parameter_names.
  cls.def("sums_of_squares", [](Model& self) {
    std::vector<double> sums(self.description().parameters().size());
    without_gil([&] { self.sums_of_squares(sums.data()); });
    return sums;
  });
  cls.def("gradients", [](Model& self) {
    return named_arrays<T>(self.description(), [&](T* to) { self.copy_gradients(to); });
  });
  cls.def("state_dict", [](Model& self) {
    py::dict all = named_arrays<T>(self.description(), [&](T* to) { self.copy_values(to); });
    std::vector<T> kept(static_cast<size_t>(self.description().state_size()));
    without_gil([&] { self.copy_state(kept.data()); });
    for (const auto& entry : split_by_name<T>(self.description().kept(), kept.data())) {
      all[entry.first] = entry.second;
    }
    return all;
  });
  cls.def(
      "load_state_dict",
      [](Model& self, const py::dict& state) {
        const std::vector<T> values = checked_state<T>(self.description(), state);
        const WithoutGil released;
        self.set_values(values.data());
        self.set_state(values.data() + self.description().num_parameters());
      },
      py::arg("state"));
  cls.def_property(
      "input_names", [](Model& self) { return without_gil([&] { return self.input_names(); }); },
      [](Model& self, Names names) {
        const WithoutGil released;
        self.set_input_names(std::move(names));
      });
  // One after the other, for a network that nobody else uses yet.
  cls.def(
      "set_parameter",
      [](Model& self, const std::string& key, py::handle values) {
        const nn::Parameter& parameter = parameter_named(self.description(), key);
        const Array array = checked_parameter<T>(parameter, values);
        const bool trained = is_trained(self.description(), parameter);
        const WithoutGil released;
        trained ? self.set_value(parameter, array.data()) : self.set_state(parameter, array.data());
      },
      py::arg("name"), py::arg("values"));
  cls.def(
      "take_parameters",
      [](Model& self, const Model& other) { without_gil([&] { self.take_values(other); }); },
      py::arg("other"));
  cls.def("to64", [](Model& self) {
    const auto& description = self.description();
    std::vector<nn::LayerSpec> layers;
    for (const nn::Node& node : description.graph().nodes) layers.push_back(node.spec);
    nn::Graph graph = layers::graph_of<double>(std::move(layers), description.graph().inputs,
                                               description.graph().heads);
    graph.free = description.graph().free;
    auto copy = std::make_shared<train::Model<double>>(std::move(graph), description.seed());
    const auto parameters = static_cast<size_t>(description.num_parameters());
    std::vector<T> values(parameters + static_cast<size_t>(description.state_size()));
    without_gil([&] {
      self.copy_values(values.data());
      self.copy_state(values.data() + parameters);
      copy->set_input_names(self.input_names());
    });
    const std::vector<double> wide(values.begin(), values.end());
    copy->set_values(wide.data());
    copy->set_state(wide.data() + parameters);
    return copy;
  });
}

// Python's bool is an int there, so that it comes first.
nn::Option option_of(py::handle value) {
  if (py::isinstance<py::bool_>(value)) return py::cast<bool>(value);
  if (py::isinstance<py::int_>(value)) return py::cast<int64_t>(value);
  if (py::isinstance<py::float_>(value)) return py::cast<double>(value);
  if (py::isinstance<py::str>(value)) return py::cast<std::string>(value);
  return py::cast<std::vector<double>>(value);
}

}  // namespace

void bind_network(py::module_& m) {
  py::class_<nn::LayerSpec>(m, "LayerSpec")
      .def(py::init([](std::string kind, std::string name, std::vector<int> inputs,
                       const py::dict& options) {
             nn::LayerSpec spec{std::move(kind), std::move(name), std::move(inputs), {}};
             for (const auto& option : options) {
               spec.options[py::cast<std::string>(option.first)] = option_of(option.second);
             }
             return spec;
           }),
           py::arg("kind"), py::arg("name"), py::arg("inputs"), py::arg("options"));
  m.def("layer_kinds", &layers::layer_kinds);
  bind_network_of<double>(m, "Network64");
  bind_network_of<float>(m, "Network32");
}

}  // namespace gd::bindings

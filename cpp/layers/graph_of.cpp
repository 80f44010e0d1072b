#include <algorithm>
#include <set>

#include "base/check.hpp"
#include "layers/registry.hpp"
#include "layers/table.hpp"
#include "ops/formulas.hpp"

namespace gd::layers {

using base::require;
using base::ValueError;

void check_inputs(const nn::Node& node, const Inputs& inputs, size_t count) {
  require<ValueError>(inputs.widths.size() == count, "layer '", node.spec.name, "' of kind '",
                      node.spec.kind, "' reads ", count, count == 1 ? " value" : " values",
                      ", got ", inputs.widths.size());
}

nn::EntrySpec vector_of(const std::string& name, int64_t width, double constant) {
  nn::EntrySpec entry;
  entry.name = name;
  entry.cols = width;
  entry.constant = constant;
  return entry;
}

template <class T>
plan::ActivationUse<T> activation_of(const nn::LayerSpec& spec) {
  plan::ActivationUse<T> use;
  const auto& name = spec.get<std::string>("activation");
  const auto& parameters = spec.get<std::vector<double>>("activation_parameters");
  const auto& kernel = ops::find_activation<T>(name);
  const size_t expected = ops::split_names(kernel.parameters).size();
  require<ValueError>(parameters.size() == expected, "activation '", name, "' takes ", expected,
                      " parameters, got ", parameters.size());
  for (const double parameter : parameters) {
    base::representable<T>(parameter, "a parameter of activation '" + name + "'");
  }
  if (name == "identity") return use;
  use.kernel = &kernel;
  use.parameters = ops::FormulaParameters<T>(parameters);
  return use;
}

namespace {

std::string all_kinds() {
  std::string all;
  for (const std::string& kind : layer_kinds()) all += (all.empty() ? "" : ", ") + kind;
  return all;
}

// Whether the layers before feed on nothing that trains.
bool of_network(const nn::Graph& graph, const std::vector<int>& inputs) {
  return std::ranges::all_of(inputs, [&](int input) { return graph.is_input(input); });
}

void check_order(const nn::Graph& graph, const nn::LayerSpec& layer) {
  const int here = graph.first_layer() + static_cast<int>(graph.nodes.size());
  require<ValueError>(!layer.inputs.empty(), "layer '", layer.name, "' reads nothing");
  for (const int input : layer.inputs) {
    require<ValueError>(input >= 0 && input < here, "layer '", layer.name,
                        "' reads what comes after it: node ", input);
  }
}

// A layer that says nothing of members knows none.
void settle_members(const Inputs& read, nn::Node& node) {
  if (node.members > 0) return;
  node.members = 1;
  for (const int64_t members : read.members) {
    require<ValueError>(members == 1, "layer '", node.spec.name, "' of kind '", node.spec.kind,
                        "' cannot stand behind the ", members, " members of an ensemble");
  }
}

void check_all_read(const nn::Graph& graph) {
  std::set<int> read = {graph.output};
  for (const nn::Node& node : graph.nodes) {
    read.insert(node.spec.inputs.begin(), node.spec.inputs.end());
  }
  for (int node = 0; node < graph.output; ++node) {
    if (read.contains(node)) continue;
    require<ValueError>(!graph.is_input(node), "input ", node, " is read by no layer");
    base::fail<ValueError>("the output of layer '", graph.layer(node).spec.name,
                           "' is read by no layer and is not the network's");
  }
}

}  // namespace

template <class T>
nn::Graph graph_of(std::vector<nn::LayerSpec> layers, std::vector<int64_t> inputs) {
  nn::Graph graph;
  graph.inputs = std::move(inputs);
  for (const int64_t width : graph.inputs) {
    require<ValueError>(width >= 1, "input_size must be at least 1, got ", width);
  }
  require<ValueError>(!layers.empty(), "layers must hold at least one layer, got none");
  std::set<std::string> names;
  for (nn::LayerSpec& layer : layers) {
    require<ValueError>(!layer.name.empty(), "a layer's name must not be empty");
    require<ValueError>(names.insert(layer.name).second, "two layers are named '", layer.name, "'");
    const Kind<T>* const kind = find_kind<T>(layer.kind);
    require<ValueError>(kind != nullptr, "unknown kind of layer '", layer.kind,
                        "', expected one of: ", all_kinds());
    check_order(graph, layer);
    Inputs read;
    for (const int input : layer.inputs) {
      read.widths.push_back(graph.width(input));
      read.members.push_back(graph.members(input));
    }
    read.of_network = of_network(graph, layer.inputs);
    nn::Node node;
    node.spec = std::move(layer);
    kind->infer(read, node);
    settle_members(read, node);
    for (const nn::EntrySpec& entry : node.entries) {
      const int64_t each = base::checked_product(entry.rows, entry.cols, "weights of a layer");
      base::checked_product(base::checked_product(entry.count, each, "weights of a layer"),
                            sizeof(T), "bytes of a layer's weights");
    }
    graph.nodes.push_back(std::move(node));
  }
  graph.output = graph.first_layer() + static_cast<int>(graph.nodes.size()) - 1;
  check_all_read(graph);
  return graph;
}

std::vector<nn::LayerSpec> stack_of(const std::vector<DenseSpec>& layers) {
  std::vector<nn::LayerSpec> specs;
  for (const DenseSpec& layer : layers) {
    specs.push_back({"dense",
                     layer.name,
                     {static_cast<int>(specs.size())},
                     {{"units", layer.units},
                      {"activation", layer.activation},
                      {"activation_parameters", layer.activation_parameters},
                      {"bias", layer.bias},
                      {"weight_init", layer.weight_init},
                      {"bias_init", layer.bias_init}}});
  }
  return specs;
}

template plan::ActivationUse<float> activation_of(const nn::LayerSpec&);
template plan::ActivationUse<double> activation_of(const nn::LayerSpec&);
template nn::Graph graph_of<float>(std::vector<nn::LayerSpec>, std::vector<int64_t>);
template nn::Graph graph_of<double>(std::vector<nn::LayerSpec>, std::vector<int64_t>);

}  // namespace gd::layers

#include <algorithm>
#include <limits>
#include <set>

#include "base/check.hpp"
#include "layers/registry.hpp"
#include "layers/table.hpp"
#include "ops/formulas.hpp"

namespace gd::layers {

using base::fail;
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

std::string told(const nn::Graph& graph, int input) {
  const std::string& name = graph.inputs[static_cast<size_t>(input)].name;
  return name.empty() ? base::message("input ", input) : "input '" + name + "'";
}

// What each input is, and that their columns can be counted.
template <class T>
void check_inputs_of(const nn::Graph& graph) {
  constexpr int64_t kMostCodes = int64_t{1} << std::numeric_limits<T>::digits;
  require<ValueError>(!graph.inputs.empty(), "a network must have at least one input, got none");
  int64_t columns = 0;
  std::set<std::string> names;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const nn::InputSpec& input = graph.inputs[i];
    const std::string who = told(graph, static_cast<int>(i));
    if (graph.inputs.size() == 1 && !input.holds_codes()) {
      require<ValueError>(input.width >= 1, "input_size must be at least 1, got ", input.width);
    }
    require<ValueError>(input.width >= 1, who, " must have at least 1 column, got ", input.width);
    require<ValueError>(!__builtin_add_overflow(columns, input.width, &columns),
                        "the inputs have more columns than can be addressed");
    require<ValueError>(graph.inputs.size() == 1 || !input.name.empty(), who,
                        " must have a name: there are several");
    require<ValueError>(names.insert(input.name).second, "two inputs are named '", input.name, "'");
    require<ValueError>(!input.sparse || input.width <= std::numeric_limits<int32_t>::max(), who,
                        " is sparse and has at most ", std::numeric_limits<int32_t>::max(),
                        " columns, got ", input.width);
    if (!input.holds_codes()) continue;
    require<ValueError>(!input.sparse, who, " holds codes, which are no sparse rows");
    require<ValueError>(static_cast<int64_t>(input.categories.size()) == input.width, who, " has ",
                        input.width, " columns, got ", input.categories.size(), " categories");
    for (size_t column = 0; column < input.categories.size(); ++column) {
      const int64_t codes = input.categories[column];
      require<ValueError>(codes >= 1, who, " must have at least 1 category in column ", column,
                          ", got ", codes);
      require<ValueError>(codes <= kMostCodes, who, " has ", codes, " categories in column ",
                          column, ": the network's dtype holds codes exactly up to ", kMostCodes,
                          sizeof(T) == sizeof(float) ? ", float64 more of them" : "");
    }
  }
}

// What a layer reads.
template <class T>
Inputs inputs_of(const nn::Graph& graph, const nn::LayerSpec& layer, const Kind<T>& kind) {
  Inputs read;
  for (const int input : layer.inputs) {
    read.widths.push_back(graph.width(input));
    read.members.push_back(graph.members(input));
    read.categories.emplace_back();
    read.sparse.push_back(false);
    if (!graph.is_input(input)) continue;
    const nn::InputSpec& spec = graph.inputs[static_cast<size_t>(input)];
    require<ValueError>(kind.reads_codes || !spec.holds_codes(), "layer '", layer.name,
                        "' of kind '", layer.kind, "' reads numbers, and ", told(graph, input),
                        " holds codes: an Embedding makes numbers of them");
    if (spec.sparse && !kind.reads_sparse) {
      fail<ValueError>("layer '", layer.name, "' of kind '", layer.kind, "' reads dense rows, and ",
                       told(graph, input), " is sparse: a Dense makes dense rows of them");
    }
    read.categories.back() = spec.categories;
    read.sparse.back() = spec.sparse;
  }
  read.of_network = of_network(graph, layer.inputs);
  return read;
}

void check_heads(const nn::Graph& graph) {
  if (graph.heads.empty()) return;
  std::set<std::string> names;
  std::vector<int> nodes;
  for (const nn::Head& head : graph.heads) {
    require<ValueError>(names.insert(head.name).second, "two outputs are named '", head.name, "'");
    nodes.push_back(head.node);
  }
  const nn::LayerSpec& last = graph.layer(graph.output).spec;
  const bool fits = nodes.size() == 1 ? nodes.front() == graph.output
                                      : last.kind == "concat" && last.inputs == nodes;
  require<ValueError>(fits, "layer '", last.name, "' does not join the outputs with a name");
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

// An ensemble has one loss, the mean of its members', and one prediction; outputs with a name are
// columns of one value that no layer knows as members.
void check_no_members(const nn::Graph& graph, int node) {
  const int64_t members = graph.members(node);
  for (const nn::Head& head : graph.heads) {
    require<ValueError>(head.node != node || members == 1, "output '", head.name, "' has ", members,
                        " members: an ensemble must be the network's one output, without "
                        "a name");
  }
}

void check_all_read(const nn::Graph& graph) {
  std::set<int> read = {graph.output};
  for (const nn::Node& node : graph.nodes) {
    read.insert(node.spec.inputs.begin(), node.spec.inputs.end());
  }
  for (int node = 0; node < graph.output; ++node) {
    if (read.contains(node)) continue;
    if (graph.is_input(node)) fail<ValueError>(told(graph, node), " is read by no layer");
    fail<ValueError>("the output of layer '", graph.layer(node).spec.name,
                     "' is read by no layer and is not the network's");
  }
}

}  // namespace

template <class T>
nn::Graph graph_of(std::vector<nn::LayerSpec> layers, std::vector<nn::InputSpec> inputs,
                   std::vector<nn::Head> heads) {
  nn::Graph graph;
  graph.inputs = std::move(inputs);
  graph.heads = std::move(heads);
  check_inputs_of<T>(graph);
  require<ValueError>(!layers.empty(), "layers must hold at least one layer, got none");
  std::set<std::string> names;
  for (nn::LayerSpec& layer : layers) {
    require<ValueError>(!layer.name.empty(), "a layer's name must not be empty");
    require<ValueError>(names.insert(layer.name).second, "two layers are named '", layer.name, "'");
    const Kind<T>* const kind = find_kind<T>(layer.kind);
    require<ValueError>(kind != nullptr, "unknown kind of layer '", layer.kind,
                        "', expected one of: ", all_kinds());
    check_order(graph, layer);
    const Inputs read = inputs_of(graph, layer, *kind);
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
    check_no_members(graph, graph.first_layer() + static_cast<int>(graph.nodes.size()) - 1);
  }
  graph.output = graph.first_layer() + static_cast<int>(graph.nodes.size()) - 1;
  check_all_read(graph);
  check_heads(graph);
  return graph;
}

template plan::ActivationUse<float> activation_of(const nn::LayerSpec&);
template plan::ActivationUse<double> activation_of(const nn::LayerSpec&);
template nn::Graph graph_of<float>(std::vector<nn::LayerSpec>, std::vector<nn::InputSpec>,
                                   std::vector<nn::Head>);
template nn::Graph graph_of<double>(std::vector<nn::LayerSpec>, std::vector<nn::InputSpec>,
                                    std::vector<nn::Head>);

}  // namespace gd::layers

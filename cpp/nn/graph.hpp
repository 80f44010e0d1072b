#pragma once

// A network as nodes: its inputs, then its layers, each after those it reads. Shapes are known and
// every parameter is listed; memory has none of it yet.

#include <cstdint>
#include <string>
#include <vector>

#include "nn/layer_spec.hpp"

namespace gd::nn {

// How an entry lies in the flat buffer. A matrix (units, inputs) lies in panels (base/panels.hpp),
// mostly of its transpose, as the forward pass reads it and the weight gradient is written: row i
// holds what input i gives to each unit, and units next to each other are one range. Where that
// would leave many lanes of a vector idle, they are of the matrix as it is, and only the forward
// pass has to transpose. A table lies row after row, for a batch reads whole rows of it.
enum class Lies : uint8_t { flat, transposed_panels, panels, rows };

// What is trained, or what a layer keeps beside: no rule updates that, and it has no gradient.
enum class Role : uint8_t { parameter, state };

// Something a layer keeps: one array.
struct EntrySpec {
  std::string name;  // "weight"
  int64_t rows = 1;  // of a matrix; a vector has one row
  int64_t cols = 0;
  Lies lies = Lies::flat;
  Role role = Role::parameter;
  std::string initializer;  // see initializers.hpp; empty: all are `constant`
  int64_t fan_in = 0;
  int64_t fan_out = 0;
  double constant = 0;
  // Of a matrix of which a batch sees few rows of what lies in memory: rules leave the others
  // alone.
  bool sparse = false;
};

// What a network is given: columns of the one matrix x (N, input_size) that all inputs lie in, side
// by side in their order.
struct InputSpec {
  InputSpec() = default;
  // Real numbers, without a name.
  InputSpec(int64_t columns) : width(columns) {}  // NOLINT(google-explicit-constructor)
  InputSpec(std::string of, int64_t columns, std::vector<int64_t> codes)
      : name(std::move(of)), width(columns), categories(std::move(codes)) {}

  std::string name;  // may be empty where there is no other
  int64_t width = 0;
  // Of each column how many codes it has, from 0 on, which stand in x as numbers. Empty: real
  // numbers.
  std::vector<int64_t> categories;

  bool holds_codes() const { return !categories.empty(); }
};

struct Node {
  LayerSpec spec;
  int64_t width = 0;  // columns of its output
  std::vector<EntrySpec> entries;
  bool needs_whole_batch = false;  // in training: rows see each other
};

// An output with a name, and the node that makes it.
struct Head {
  std::string name;
  int node = 0;
};

struct Graph {
  std::vector<InputSpec> inputs;
  std::vector<Node> nodes;  // the layers
  int output = 0;           // a node, counted as LayerSpec::inputs are
  // Empty where the output is one without a name; one that is the output node; or several, which
  // the output node, a concat, puts side by side.
  std::vector<Head> heads;

  int first_layer() const { return static_cast<int>(inputs.size()); }
  bool is_input(int node) const { return node < first_layer(); }
  const Node& layer(int node) const { return nodes[static_cast<size_t>(node - first_layer())]; }
  // The first layer that needs all rows of a batch at once in training; null: none does.
  const Node* whole_batch() const {
    for (const Node& node : nodes) {
      if (node.needs_whole_batch) return &node;
    }
    return nullptr;
  }
  int64_t width(int node) const {
    return is_input(node) ? inputs[static_cast<size_t>(node)].width : layer(node).width;
  }
  // Columns of x.
  int64_t input_size() const {
    int64_t size = 0;
    for (const InputSpec& input : inputs) size += input.width;
    return size;
  }
};

}  // namespace gd::nn

#pragma once

// A network as nodes: its inputs, then its layers, each after those it reads. Shapes are known and
// every parameter is listed; memory has none of it yet.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/philox.hpp"
#include "nn/layer_spec.hpp"

namespace gd::nn {

// How an entry lies in the flat buffer. A matrix (units, inputs) lies in panels (base/panels.hpp),
// mostly of its transpose, as the forward pass reads it and the weight gradient is written: row i
// holds what input i gives to each unit, and units next to each other are one range. Where that
// would leave many lanes of a vector idle, they are of the matrix as it is, and only the forward
// pass has to transpose. A table lies row after row, for a batch reads whole rows of it; and so
// does the transpose of a matrix whose inputs are sparse.
enum class Lies : uint8_t { flat, transposed_panels, panels, rows, transposed_rows };

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
  double gain = 1;    // of the initializers that have one
  int64_t count = 1;  // matrices, one after the other
  // To the outside; none: (rows, cols) of a matrix, (cols,) of a vector.
  std::optional<std::vector<int64_t>> shape;
  // What makes the first values where they are neither drawn by a name nor constant. `before` are
  // those of the layer's entry before this one.
  std::function<void(base::RandomStream& random, std::span<const double> before,
                     std::span<double> own)>
      start;

  // Of a matrix of which a batch sees few rows of what lies in memory: rules leave the others
  // alone.
  bool sparse = false;

  int64_t size() const { return count * rows * cols; }
  std::vector<int64_t> outer_shape() const {
    if (shape) return *shape;
    if (lies == Lies::flat) return {cols};
    return {rows, cols};
  }
};

// What a network is given: columns of the one matrix x (N, input_size) that all inputs lie in, side
// by side in their order.
struct InputSpec {
  InputSpec() = default;
  // Real numbers, without a name.
  InputSpec(int64_t columns) : width(columns) {}  // NOLINT(google-explicit-constructor)
  InputSpec(std::string of, int64_t columns, std::vector<int64_t> codes,
            bool rows_are_sparse = false)
      : name(std::move(of)),
        width(columns),
        categories(std::move(codes)),
        sparse(rows_are_sparse) {}

  std::string name;  // may be empty where there is no other
  int64_t width = 0;
  // Of each column how many codes it has, from 0 on, which stand in x as numbers. Empty: real
  // numbers.
  std::vector<int64_t> categories;

  // Whether its rows come without their zeros: then x has one column for it, of the numbers of
  // those rows (base/sparse_rows.hpp).
  bool sparse = false;

  bool holds_codes() const { return !categories.empty(); }
  int64_t columns_of_x() const { return sparse ? 1 : width; }
};

struct Node {
  LayerSpec spec;
  int64_t width = 0;  // columns of its output
  std::vector<EntrySpec> entries;
  // Of an ensemble: its columns are so many values side by side. 0: the layer does not say.
  int64_t members = 0;
  // In training so many rows see each other, of which whole ones go through at once; 0: all rows
  // of a batch do; 1: none.
  int64_t together = 1;
  // In training a step is shared by tiles: sums over samples are cut as no part of a batch is.
  bool needs_tiles = false;
};

// An output with a name, and the node that makes it.
struct Head {
  std::string name;
  int node = 0;
};

// More than that are all rows of a batch.
inline constexpr int64_t kMostTogether = 1 << 18;

struct Graph {
  std::vector<InputSpec> inputs;
  std::vector<Node> nodes;  // the layers
  int output = 0;           // a node, counted as LayerSpec::inputs are
  // Empty where the output is one without a name; one that is the output node; or several, which
  // the output node, a concat, puts side by side.
  std::vector<Head> heads;
  // Parameters of no layer: a loss that is not compiled reads them, and makes their gradients.
  std::vector<EntrySpec> free;

  int first_layer() const { return static_cast<int>(inputs.size()); }
  bool is_input(int node) const { return node < first_layer(); }
  const Node& layer(int node) const { return nodes[static_cast<size_t>(node - first_layer())]; }
  int64_t members(int node) const { return is_input(node) ? 1 : layer(node).members; }
  // Columns of what the output is compared with, for each member of an ensemble the same.
  int64_t target_size() const { return width(output) / members(output); }
  bool needs_tiles() const {
    for (const Node& node : nodes) {
      if (node.needs_tiles || node.together != 1) return true;
    }
    return false;
  }
  // The first layer whose rows see each other in training; null: none has such.
  const Node* meeting() const {
    for (const Node& node : nodes) {
      if (node.together != 1) return &node;
    }
    return nullptr;
  }
  // As Node::together, for all layers at once.
  int64_t together() const {
    int64_t common = 1;
    for (const Node& node : nodes) {
      if (node.together == 0) return 0;
      common = std::lcm(common, node.together);
      if (common > kMostTogether) return 0;
    }
    return common;
  }
  int64_t width(int node) const {
    return is_input(node) ? inputs[static_cast<size_t>(node)].width : layer(node).width;
  }
  // Columns of x.
  int64_t input_size() const {
    int64_t size = 0;
    for (const InputSpec& input : inputs) size += input.columns_of_x();
    return size;
  }
  // Columns as a caller counts them.
  int64_t features() const {
    int64_t size = 0;
    for (const InputSpec& input : inputs) size += input.width;
    return size;
  }
  bool has_sparse_inputs() const {
    return std::ranges::any_of(inputs, [](const InputSpec& input) { return input.sparse; });
  }
};

}  // namespace gd::nn

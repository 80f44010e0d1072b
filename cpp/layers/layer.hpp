#pragma once

// What a kind of layer is: its shape rule and its entries, and how it becomes steps. A file of
// kinds/ holds one:
//
//   struct dense {
//     static constexpr const char* name = "dense";
//     // Only where it takes inputs of codes, as an embedding does.
//     static constexpr bool reads_codes = true;
//     // Only where it takes inputs of sparse rows, as Builder::reads_sparse_rows tells.
//     static constexpr bool reads_sparse = true;
//     // Checks the options, and says the width of the output and what the layer keeps; ValueError
//     // that names the layer.
//     template <class T> static void infer(const Inputs& inputs, nn::Node& node);
//     // Adds steps that make the output, and says which value it is.
//     template <class T> static void forward(plan::Builder<T>& builder);
//     // Adds steps from the gradient at the output to those at the inputs and the parameters.
//     template <class T> static void backward(plan::Builder<T>& builder);
//     // Only where it can be trained on derivatives: the same over values with their derivatives,
//     // see plan/operations/tangents.hpp.
//     template <class T> static void forward_tangents(plan::Builder<T>& builder);
//     template <class T> static void backward_tangents(plan::Builder<T>& builder);
//   };

#include <span>
#include <string>

#include "nn/graph.hpp"
#include "plan/builder.hpp"

namespace gd::layers {

// What a layer reads.
struct Inputs {
  std::vector<int64_t> widths;
  std::vector<int64_t> members;  // of each, see nn::Node
  // Of each value how many codes each of its columns has; empty where it holds real numbers. Kinds
  // that say `reads_codes` see such values, no others do.
  std::vector<std::vector<int64_t>> categories;
  std::vector<bool> sparse;  // of each value, whether it is an input of sparse rows
  bool of_network = false;   // nothing before it trains: all are inputs of the network

  int64_t width() const { return widths.front(); }
  // Whose columns are so many values side by side; a layer that goes on with them says so.
  int64_t count() const { return members.front(); }
};

// ValueError unless there are so many inputs.
void check_inputs(const nn::Node& node, const Inputs& inputs, size_t count);

// An activation out of the options "activation" and "activation_parameters", checked for T.
template <class T>
plan::ActivationUse<T> activation_of(const nn::LayerSpec& spec);

// A vector of `width` parameters that are all `constant` at first.
nn::EntrySpec vector_of(const std::string& name, int64_t width, double constant);

}  // namespace gd::layers

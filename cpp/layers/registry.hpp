#pragma once

// The kinds of layers by their names, and graphs made of them.

#include <cstdint>
#include <string>
#include <vector>

#include "nn/graph.hpp"
#include "plan/builder.hpp"

namespace gd::layers {

// How a kind becomes steps; null where there is none of that name.
template <class T>
const plan::Lowering<T>* lowering(const std::string& kind);

// The same over values with their derivatives, see plan/operations/tangents.hpp.
template <class T>
const plan::Lowering<T>* tangent_lowering(const std::string& kind);

// ValueError, which names the layer, where a network cannot be trained on derivatives.
template <class T>
void check_tangents(const nn::Graph& graph);

std::vector<std::string> layer_kinds();

// The graph of layers over inputs, with every shape and entry; the last layer's output is the
// network's. ValueError for an unknown kind, options out of their domain, doubled or empty names,
// widths that do not go together, codes that a layer cannot read or T cannot hold, what is not read
// by anything. With heads, see nn::Graph, the last layer is the one's node, or reads all of theirs.
template <class T>
nn::Graph graph_of(std::vector<nn::LayerSpec> layers, std::vector<nn::InputSpec> inputs,
                   std::vector<nn::Head> heads = {});

}  // namespace gd::layers

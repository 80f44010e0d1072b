// Which networks can be trained on derivatives.

#include "base/check.hpp"
#include "layers/layer.hpp"
#include "layers/registry.hpp"

namespace gd::layers {

using base::require;
using base::ValueError;

namespace {

template <class T>
std::string kinds_with_tangents() {
  std::string all;
  for (const std::string& kind : layer_kinds()) {
    if (tangent_lowering<T>(kind) != nullptr) all += (all.empty() ? "" : ", ") + kind;
  }
  return all;
}

}  // namespace

template <class T>
void check_tangents(const nn::Graph& graph) {
  const nn::InputSpec& first = graph.inputs.front();
  require<ValueError>(graph.inputs.size() == 1 && !first.holds_codes() && !first.sparse,
                      "dy is for a network of one input of real numbers that is not sparse");
  require<ValueError>(graph.heads.empty(), "dy is for a network whose output has no name, got ",
                      graph.heads.size(), " with names");
  for (int node = graph.first_layer(); node <= graph.output; ++node) {
    const nn::LayerSpec& spec = graph.layer(node).spec;
    require<ValueError>(tangent_lowering<T>(spec.kind) != nullptr, "dy cannot be trained on with ",
                        "layer '", spec.name, "' of kind '", spec.kind,
                        "', but with those of the kinds ", kinds_with_tangents<T>());
    require<ValueError>(graph.members(node) == 1, "dy cannot be trained on with layer '", spec.name,
                        "', which has ", graph.members(node), " members");
    if (!spec.has("activation")) continue;
    const auto* const kernel = activation_of<T>(spec).kernel;
    require<ValueError>(kernel == nullptr || kernel->curve != nullptr,
                        "dy cannot be trained on with activation '",
                        kernel == nullptr ? "" : kernel->name, "' of layer '", spec.name,
                        "', which has no second derivative");
  }
}

template void check_tangents<float>(const nn::Graph&);
template void check_tangents<double>(const nn::Graph&);

}  // namespace gd::layers

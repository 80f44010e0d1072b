#pragma once

#include <map>
#include <string>
#include <vector>

#include "cpp/base/support.hpp"
#include "cpp/layers/dense_stack.hpp"
#include "layers/registry.hpp"
#include "nn/gaps.hpp"
#include "nn/network.hpp"
#include "ops/formulas.hpp"

namespace gd::testing {

inline const bool kChecksGaps = nn::checks_gaps = true;

inline DenseSpec dense(const std::string& name, int64_t units, const std::string& activation,
                       bool bias = true) {
  DenseSpec spec;
  spec.name = name;
  spec.units = units;
  spec.activation = activation;
  spec.bias = bias;
  // The threshold without a jump: a difference across it says nothing of a slope.
  static const std::map<std::string, double> typical = {
      {"lambd", 0.25}, {"min_val", -0.75}, {"max_val", 1.5}, {"threshold", 0.25}, {"value", 0.25}};
  for (const ops::FormulaInfo& formula : ops::activation_formulas()) {
    if (activation != formula.name) continue;
    for (const std::string& parameter : formula.parameters) {
      const auto found = typical.find(parameter);
      spec.activation_parameters.push_back(found == typical.end() ? 0.75 : found->second);
    }
  }
  return spec;
}

// Layers "0", "1", ... of these sizes, all but the last with one activation.
inline std::vector<DenseSpec> stack(const std::vector<int64_t>& units, const std::string& hidden,
                                    const std::string& last) {
  std::vector<DenseSpec> layers;
  for (size_t i = 0; i < units.size(); ++i) {
    layers.push_back(dense(std::to_string(i), units[i], i + 1 < units.size() ? hidden : last));
  }
  return layers;
}

// The same as a model takes them.
inline std::vector<nn::LayerSpec> stacked(const std::vector<int64_t>& units,
                                          const std::string& hidden, const std::string& last) {
  return stack_of(stack(units, hidden, last));
}

template <class T>
nn::Network<T> network_of(const std::vector<DenseSpec>& layers, int64_t inputs, uint64_t seed) {
  return nn::Network<T>(gd::layers::graph_of<T>(stack_of(layers), {inputs}), seed);
}

}  // namespace gd::testing

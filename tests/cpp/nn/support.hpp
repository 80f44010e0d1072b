#pragma once

#include <string>
#include <vector>

#include "cpp/base/support.hpp"
#include "nn/network.hpp"

namespace gd::testing {

inline nn::DenseSpec dense(const std::string& name, int64_t units, const std::string& activation,
                           bool bias = true) {
  nn::DenseSpec spec;
  spec.name = name;
  spec.units = units;
  spec.activation = activation;
  spec.bias = bias;
  static const std::vector<std::string> with_parameter = {"leaky_relu", "elu", "softplus"};
  for (const std::string& other : with_parameter) {
    if (activation == other) spec.activation_parameters = {0.75};
  }
  return spec;
}

// Layers "0", "1", ... of these sizes, all but the last with one activation.
inline std::vector<nn::DenseSpec> stack(const std::vector<int64_t>& units,
                                        const std::string& hidden, const std::string& last) {
  std::vector<nn::DenseSpec> layers;
  for (size_t i = 0; i < units.size(); ++i) {
    layers.push_back(dense(std::to_string(i), units[i], i + 1 < units.size() ? hidden : last));
  }
  return layers;
}

}  // namespace gd::testing

#pragma once

// Stacks of dense layers, as tests write them.

#include <cstdint>
#include <string>
#include <vector>

#include "nn/layer_spec.hpp"

namespace gd::testing {

// y = f(x W^T + b)
struct DenseSpec {
  std::string name;
  int64_t units = 0;
  std::string activation = "identity";
  std::vector<double> activation_parameters;
  bool bias = true;
  std::string weight_init = "pytorch";
  std::string bias_init = "pytorch";
};

inline std::vector<nn::LayerSpec> stack_of(const std::vector<DenseSpec>& layers) {
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

}  // namespace gd::testing

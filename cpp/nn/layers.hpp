#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gd::nn {

// y = f(x W^T + b), with W (units, inputs) and b (units,).
struct DenseSpec {
  std::string name;  // its part of the keys in state_dict
  int64_t units = 0;
  std::string activation = "identity";
  std::vector<double> activation_parameters;
  bool bias = true;
  std::string weight_init = "pytorch";
  std::string bias_init = "pytorch";
};

// ValueError for non-positive units, unknown names, a wrong number of parameters or one that T
// cannot hold, doubled or empty layer names.
template <class T>
void check_layers(const std::vector<DenseSpec>& layers, int64_t input_size);

}  // namespace gd::nn

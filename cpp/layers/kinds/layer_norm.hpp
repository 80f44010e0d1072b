#pragma once

#include "layers/row_norm.hpp"

namespace gd::layers {

// y = (x - mean) / sqrt(var + eps) gamma + beta, mean and variance over each row.
// Ba, Kiros, Hinton: "Layer normalization", 2016.
struct layer_norm : row_norm<layer_norm> {
  static constexpr const char* name = "layer_norm";
  static constexpr bool centered = true;
};

}  // namespace gd::layers

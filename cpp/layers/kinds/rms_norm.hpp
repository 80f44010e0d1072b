#pragma once

#include "layers/row_norm.hpp"

namespace gd::layers {

// y = x / sqrt(mean(x^2) + eps) gamma, over each row.
// Zhang, Sennrich: "Root mean square layer normalization", NeurIPS 2019.
struct rms_norm : row_norm<rms_norm> {
  static constexpr const char* name = "rms_norm";
  static constexpr bool centered = false;
};

}  // namespace gd::layers

#pragma once

#include <algorithm>
#include <cstdint>

namespace gd::base {

// A (rows, cols) matrix in panels: kPanel columns at a time, each panel row-major on its own, one
// after the other without gaps. A matmul reads a panel from one end to the other, and a range of
// columns is a range of memory. Every register tile's width divides kPanel.
inline constexpr int64_t kPanel = 32;

// First column of the panel that holds column j, and how many columns it has.
constexpr int64_t panel_begin(int64_t j) { return j / kPanel * kPanel; }
constexpr int64_t panel_width(int64_t cols, int64_t j) {
  return std::min(kPanel, cols - panel_begin(j));
}

// Where element (i, j) is.
constexpr int64_t panel_index(int64_t rows, int64_t cols, int64_t i, int64_t j) {
  const int64_t begin = panel_begin(j);
  return begin * rows + i * panel_width(cols, j) + (j - begin);
}

}  // namespace gd::base

#pragma once

// Copies blocks of a matrix into the order in which a register tile reads them.

#include <cstdint>

#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// Rows a page apart are read too few bytes at a time for the hardware's prefetcher.
constexpr int64_t kAhead = 16;

// Writes row k from lane j on. A whole vector may run over into rows that are written later; only
// behind the last one there is nothing to run over into.
template <class V, class T = typename V::scalar>
inline void store_lanes(const PackBlock<T>& block, int64_t k, int64_t j, V lanes) {
  const int64_t left = block.to_depth - j;
  const int64_t left_in_all = (block.depth - k) * block.to_depth - j;
  T* const to = block.to + k * block.to_depth + j;
  if (left_in_all >= V::width) {
    V::store(to, lanes);
  } else {
    V::store(to, static_cast<int>(left), lanes);
  }
}

// Rows of the source are rows of the target.
template <class V, class T = typename V::scalar>
void pack_rows(const PackBlock<T>& block) {
  for (int64_t k = 0; k < block.depth; ++k) {
    const T* const from = block.from + k * block.from_depth;
    for (int64_t j = 0; j < block.to_depth; j += V::width) {
      if (k + kAhead < block.depth) __builtin_prefetch(from + kAhead * block.from_depth + j);
      const int64_t left = block.width - j;
      const V lanes = left >= V::width ? V::load(from + j)
                      : left > 0       ? V::load(from + j, static_cast<int>(left), 0)
                                       : V::set1(0);
      store_lanes<V>(block, k, j, lanes);
    }
  }
}

// Rows of the source are columns of the target: squares are transposed in registers. Within a
// square's rows the last columns come first, so that what runs over is overwritten.
template <class V, bool Whole, class T = typename V::scalar>
inline void pack_square(const PackBlock<T>& block, int64_t k, int64_t j, int deep, int64_t ahead) {
  constexpr int W = V::width;
  V square[W];
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) {
    const T* const from = block.from + (j + i) * block.from_width + k;
    if (Whole || j + i < block.width) {
      // No hardware prefetcher follows this many rows at once.
      __builtin_prefetch(from + ahead);
      square[i] = Whole || deep == W ? V::load(from) : V::load(from, deep, 0);
    } else {
      square[i] = V::set1(0);
    }
  }
  V::transpose(square);
  if constexpr (Whole) {
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) V::store(block.to + (k + i) * block.to_depth + j, square[i]);
  } else {
    for (int i = 0; i < deep; ++i) store_lanes<V>(block, k + i, j, square[i]);
  }
}

template <class V, class T = typename V::scalar>
void pack_columns(const PackBlock<T>& block) {
  constexpr int W = V::width;
  const int64_t last_j = (block.to_depth - 1) / W * W;
  const bool whole = block.width == block.to_depth && block.to_depth % W == 0;
  const int64_t ahead = block.ahead != 0 ? block.ahead : 2 * W;
  for (int64_t k = 0; k < block.depth; k += W) {
    const int deep = block.depth - k < W ? static_cast<int>(block.depth - k) : W;
    for (int64_t j = last_j; j >= 0; j -= W) {
      if (whole && deep == W) {
        pack_square<V, true>(block, k, j, W, ahead);
      } else {
        pack_square<V, false>(block, k, j, deep, ahead);
      }
    }
  }
}

template <class V, class T = typename V::scalar>
void pack(const PackBlock<T>& block) {
  if (block.from_width == 1) return pack_rows<V>(block);
  if (block.from_depth == 1) return pack_columns<V>(block);
  for (int64_t k = 0; k < block.depth; ++k) {
    T* const to = block.to + k * block.to_depth;
    const T* const from = block.from + k * block.from_depth;
    for (int64_t j = 0; j < block.to_depth; ++j) {
      to[j] = j < block.width ? from[j * block.from_width] : 0;
    }
  }
}

}  // namespace
}  // namespace gd::kernels

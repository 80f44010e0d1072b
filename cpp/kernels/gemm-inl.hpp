#pragma once

// The register tile of a matmul, written once over Vec<T>. Included after an ISA's vec.hpp.
// rows x vectors accumulators stay in registers: each step of the depth loads `vectors` vectors of
// B, broadcasts one element of A a row, and does rows * vectors fused multiply-adds.

#include <cstdint>

#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

template <class V, int Rows, int Vectors, bool Tail, bool PackedA>
__attribute__((noinline)) void gemm_tile(const GemmTile<typename V::scalar>& tile) {
  using T = typename V::scalar;
  constexpr int W = V::width;
  const int last = tile.cols - (Vectors - 1) * W;  // lanes of the last vector
  const auto load_row = [&](const T* row, V* v) {
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) {
      v[j] = Tail && j == Vectors - 1 ? V::load(row + j * W, last, 0) : V::load(row + j * W);
    }
  };
  const auto store_row = [&](T* row, const V* v) {
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) {
      if (Tail && j == Vectors - 1) {
        V::store(row + j * W, last, v[j]);
      } else {
        V::store(row + j * W, v[j]);
      }
    }
  };

  V sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    if (tile.chain == Chain::go_on) {
      load_row(tile.c + i * tile.ldc, sum[i]);
    } else {
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) sum[i][j] = V::set1(0);
    }
  }

  // C is needed after the last product: by then it shall be here.
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    const T* const row = tile.c + i * tile.ldc;
    __builtin_prefetch(row, 1);
    if (Vectors * W * sizeof(T) > 64) __builtin_prefetch(row + 64 / sizeof(T), 1);
  }

  const T* a = tile.a;
  const T* b = tile.b;
  const int64_t a_row = PackedA ? 1 : tile.a_row;
  for (int64_t k = 0; k < tile.depth; ++k) {
    V bk[Vectors];
    load_row(b, bk);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const V aik = V::set1(a[i * a_row]);
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) sum[i][j] = V::fma(aik, bk[j], sum[i][j]);
    }
    a += tile.a_depth;
    b += tile.b_depth;
  }

  if (tile.chain == Chain::add_part) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      V before[Vectors];
      load_row(tile.c + i * tile.ldc, before);
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) sum[i][j] = V::add(before[j], sum[i][j]);
    }
  }
  if (tile.bias != nullptr) {
    V bias[Vectors];
    load_row(tile.bias, bias);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) sum[i][j] = V::add(sum[i][j], bias[j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) store_row(tile.c + i * tile.ldc, sum[i]);
}

// Chooses the compiled tile of tile.rows rows, 1 <= rows <= Rows.
template <class V, int Rows, int Vectors, bool Tail, bool PackedA>
void gemm_rows(const GemmTile<typename V::scalar>& tile) {
  if constexpr (Rows == 1) {
    gemm_tile<V, 1, Vectors, Tail, PackedA>(tile);
  } else {
    if (tile.rows == Rows) return gemm_tile<V, Rows, Vectors, Tail, PackedA>(tile);
    gemm_rows<V, Rows - 1, Vectors, Tail, PackedA>(tile);
  }
}

template <class V, int Rows, int Vectors>
void gemm_columns(const GemmTile<typename V::scalar>& tile) {
  const bool tail = tile.cols != Vectors * V::width;
  if (Vectors > 1 && tile.cols <= (Vectors - 1) * V::width) {
    if constexpr (Vectors > 1) gemm_columns<V, Rows, Vectors - 1>(tile);
  } else if (tile.a_row == 1) {
    tail ? gemm_rows<V, Rows, Vectors, true, true>(tile)
         : gemm_rows<V, Rows, Vectors, false, true>(tile);
  } else {
    tail ? gemm_rows<V, Rows, Vectors, true, false>(tile)
         : gemm_rows<V, Rows, Vectors, false, false>(tile);
  }
}

}  // namespace
}  // namespace gd::kernels

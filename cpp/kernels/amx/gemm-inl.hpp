#pragma once

// The matmul on tiles, written over Tiles (hardware's, or the tests' emulation) and Vec<float>.

#include <cstdint>

#include "kernels/amx/tile_config.hpp"
#include "kernels/hints-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// A register tile is 2 x 2 tiles of C: each tile of A and B that is loaded serves two products,
// and four sums in turn cover a product's latency.
constexpr int kPanelWidth = 32;
constexpr int kDepthStep = 32;

// A panel has 32 of the depth side by side, for 32 rows; B's has pairs, for 32 columns.
constexpr int64_t kRowBytesOfA = 2 * kDepthStep;
constexpr int64_t kRowBytesOfB = 2 * 2 * kPanelWidth;
constexpr int64_t kSecondTileOfA = kTileRows * kDepthStep;
constexpr int64_t kSecondTileOfB = 2 * 16;
constexpr int64_t kPanelStep = kPanelWidth * kDepthStep;
constexpr int64_t kLine = kLineBytes / int64_t{sizeof(uint16_t)};

// Registers: C's at 2 i + j, then two for A and two for B.
constexpr int kA = 4;
constexpr int kB = 6;

template <class V>
V load_lanes(const float* from, int n) {
  return n >= V::width ? V::load(from) : V::load(from, n, 0);
}

template <class V>
void store_lanes(float* to, int n, V lanes) {
  n >= V::width ? V::store(to, lanes) : V::store(to, n, lanes);
}

// The part of C that one tile holds.
struct Corner {
  float* c;
  int64_t ldc;
  const float* before;
  int64_t ld_before;
  const float* bias;
};

template <int I, int J>
Corner corner_of(const Bf16Tile& tile) {
  const float* const before = tile.before != nullptr ? tile.before : tile.c;
  const int64_t ld_before = tile.before != nullptr ? tile.ld_before : tile.ldc;
  return {tile.c + 16 * I * tile.ldc + 16 * J, tile.ldc, before + 16 * I * ld_before + 16 * J,
          ld_before, tile.bias == nullptr ? nullptr : tile.bias + 16 * J};
}

constexpr int64_t bytes(int64_t floats) { return floats * int64_t{sizeof(float)}; }

// Edge: tiles at C's end, of fewer rows or columns than 16.
template <class Tiles, class V, int I, int J, bool Edge>
void begin(const Bf16Tile& tile, int rows, int cols) {
  if (tile.chain != Chain::go_on) return Tiles::template zero<2 * I + J>();
  const Corner corner = corner_of<I, J>(tile);
  if constexpr (!Edge) {
    return Tiles::template load<2 * I + J>(corner.before, bytes(corner.ld_before));
  }
  alignas(64) float sums[16 * 16] = {};
  for (int i = 0; i < rows; ++i) {
    const float* const row = corner.before + i * corner.ld_before;
    for (int j = 0; j < cols; j += V::width) {
      V::store(sums + 16 * i + j, load_lanes<V>(row + j, cols - j));
    }
  }
  Tiles::template load<2 * I + J>(sums, kTileRowBytes);
}

template <class Tiles, class V, int I, int J, bool Edge>
void end(const Bf16Tile& tile, int rows, int cols) {
  const Corner corner = corner_of<I, J>(tile);
  const bool add = tile.chain == Chain::add_part;
  if (!Edge && !add && corner.bias == nullptr) {
    return Tiles::template store<2 * I + J>(corner.c, bytes(corner.ldc));
  }
  alignas(64) float sums[16 * 16];
  Tiles::template store<2 * I + J>(sums, kTileRowBytes);
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < cols; j += V::width) {
      const int n = cols - j;
      float* const to = corner.c + i * corner.ldc + j;
      V sum = V::load(sums + 16 * i + j);
      if (add) sum = V::add(load_lanes<V>(corner.before + i * corner.ld_before + j, n), sum);
      if (corner.bias != nullptr) sum = V::add(sum, load_lanes<V>(corner.bias + j, n));
      store_lanes<V>(to, n, sum);
    }
  }
}

template <class Tiles, int RowTiles>
void load_a(const uint16_t* a) {
  Tiles::template load<kA>(a, kRowBytesOfA);
  if constexpr (RowTiles == 2) Tiles::template load<kA + 1>(a + kSecondTileOfA, kRowBytesOfA);
}

template <class Tiles, int ColTiles>
void load_b(const uint16_t* b) {
  Tiles::template load<kB>(b, kRowBytesOfB);
  if constexpr (ColTiles == 2) Tiles::template load<kB + 1>(b + kSecondTileOfB, kRowBytesOfB);
}

template <class Tiles, int RowTiles, int ColTiles>
void multiply() {
  Tiles::template dot<0, kA, kB>();
  if constexpr (RowTiles == 2) Tiles::template dot<2, kA + 1, kB>();
  if constexpr (ColTiles == 2) Tiles::template dot<1, kA, kB + 1>();
  if constexpr (RowTiles == 2 && ColTiles == 2) Tiles::template dot<3, kA + 1, kB + 1>();
}

inline void fetch(const uint16_t* lines) {
#pragma GCC unroll 4
  for (int i = 0; i < kLinesAhead; ++i) __builtin_prefetch(lines + i * kLine, 0, kIntoL2);
}

// body(row of tiles, column of tiles, rows and columns of C in that one) for each tile of C.
template <int RowTiles, int ColTiles, class Body>
void each_tile(int rows, int cols, Body&& body) {
  const int upper = RowTiles == 2 ? 16 : rows;
  const int left = ColTiles == 2 ? 16 : cols;
  body.template operator()<0, 0>(upper, left);
  if constexpr (ColTiles == 2) body.template operator()<0, 1>(upper, cols - 16);
  if constexpr (RowTiles == 2) body.template operator()<1, 0>(rows - 16, left);
  if constexpr (RowTiles == 2 && ColTiles == 2) {
    body.template operator()<1, 1>(rows - 16, cols - 16);
  }
}

template <class Tiles, class V, int RowTiles, int ColTiles, bool Edge>
void gemm_tiles(const Bf16Tile& tile, int rows, int cols) {
  each_tile<RowTiles, ColTiles>(rows, cols, [&]<int I, int J>(int tall, int wide) {
    begin<Tiles, V, I, J, Edge>(tile, tall, wide);
  });

  const uint16_t* a = tile.a;
  const uint16_t* b = tile.b;
  // Without anything to fetch, the same lines again and again.
  const uint16_t* ahead = tile.ahead != nullptr ? tile.ahead : b;
  const int64_t ahead_step = tile.ahead != nullptr ? kLinesAhead * kLine : 0;
  if (tile.products == 1) {
    for (int64_t k = 0; k < tile.depth; k += kDepthStep, a += kPanelStep, b += kPanelStep) {
      fetch(ahead);
      ahead += ahead_step;
      load_a<Tiles, RowTiles>(a);
      load_b<Tiles, ColTiles>(b);
      multiply<Tiles, RowTiles, ColTiles>();
    }
  } else {
    // In an order in which each load changes one operand only.
    for (int64_t k = 0; k < tile.depth; k += kDepthStep, a += kPanelStep, b += kPanelStep) {
      fetch(ahead);
      ahead += ahead_step;
      load_a<Tiles, RowTiles>(a + tile.a_low);
      load_b<Tiles, ColTiles>(b);
      multiply<Tiles, RowTiles, ColTiles>();
      load_a<Tiles, RowTiles>(a);
      multiply<Tiles, RowTiles, ColTiles>();
      load_b<Tiles, ColTiles>(b + tile.b_low);
      multiply<Tiles, RowTiles, ColTiles>();
    }
  }

  each_tile<RowTiles, ColTiles>(rows, cols, [&]<int I, int J>(int tall, int wide) {
    end<Tiles, V, I, J, Edge>(tile, tall, wide);
  });
}

template <class Tiles, class V>
void gemm_on_tiles(const Bf16Tile& tile) {
  // Each read for itself: as the compiler would have it, in one load of what two stores wrote just
  // before, both wait until every older store is done.
  int rows = tile.rows;
  keep_apart(rows);
  int cols = tile.cols;
  keep_apart(cols);
  if (rows == 32 && cols == 32) return gemm_tiles<Tiles, V, 2, 2, false>(tile, rows, cols);
  if (rows <= 16) {
    cols <= 16 ? gemm_tiles<Tiles, V, 1, 1, true>(tile, rows, cols)
               : gemm_tiles<Tiles, V, 1, 2, true>(tile, rows, cols);
  } else {
    cols <= 16 ? gemm_tiles<Tiles, V, 2, 1, true>(tile, rows, cols)
               : gemm_tiles<Tiles, V, 2, 2, true>(tile, rows, cols);
  }
}

template <class Tiles>
int64_t tiles_peak(int64_t rounds, float* sink) {
  alignas(64) uint16_t factor[kTileRows * kTileRowBytes / 2];
  for (uint16_t& x : factor) x = 0x3580;  // 2^-20: the sums stay finite
  alignas(64) float sums[16 * 16];
  Tiles::template zero<0>();
  Tiles::template zero<1>();
  Tiles::template zero<2>();
  Tiles::template zero<3>();
  Tiles::template load<kA>(factor, kTileRowBytes);
  Tiles::template load<kA + 1>(factor, kTileRowBytes);
  Tiles::template load<kB>(factor, kTileRowBytes);
  Tiles::template load<kB + 1>(factor, kTileRowBytes);
  for (int64_t round = 0; round < rounds; ++round) multiply<Tiles, 2, 2>();
  Tiles::template store<3>(sums, kTileRowBytes);
  *sink = sums[0];
  return rounds * 4 * 16 * 16 * 32 * 2;
}

// Tiles that an outer call on this thread has configured stay so; anybody else's are ours to take,
// as the calling convention has it. True: leave_tiles shall release them.
template <class Tiles>
bool enter_tiles() {
  if (same_config(Tiles::configuration(), kWholeTiles)) return false;
  Tiles::configure(kWholeTiles);
  return true;
}

template <class Tiles>
void leave_tiles(bool entered) {
  if (entered) Tiles::release();
}

}  // namespace
}  // namespace gd::kernels

#pragma once

// The tile instructions in plain C++, after Intel's manual (SDM volume 2, TDPBF16PS, LDTILECFG),
// and a vector of 16 lanes: what the tiles' kernel is written over, on any machine.

#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "kernels/amx/tile_config.hpp"

namespace gd::testing {

inline float widen_bf16(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

class EmulatedTiles {
 public:
  using TileConfig = kernels::TileConfig;

  static void configure(const TileConfig& config) {
    if (config.palette != 1 || config.start_row != 0) throw std::logic_error("palette");
    for (int tile = 0; tile < 8; ++tile) {
      if (config.rows[tile] > 16 || config.row_bytes[tile] > 64) throw std::logic_error("shape");
    }
    state() = {config, {}};
    ++configured();
  }
  static TileConfig configuration() { return state().config; }
  static void release() { state() = {}; }
  static int& configured() {  // how often
    static int count = 0;
    return count;
  }

  template <int Tile>
  static void zero() {
    std::memset(tile(Tile), 0, sizeof(Bytes));
  }
  template <int Tile>
  static void load(const void* from, int64_t row_bytes) {
    zero<Tile>();
    for (int i = 0; i < rows(Tile); ++i) {
      std::memcpy(tile(Tile)[i], static_cast<const char*>(from) + i * row_bytes, bytes(Tile));
    }
  }
  template <int Tile>
  static void store(void* to, int64_t row_bytes) {
    for (int i = 0; i < rows(Tile); ++i) {
      std::memcpy(static_cast<char*>(to) + i * row_bytes, tile(Tile)[i], bytes(Tile));
    }
  }

  // Even and odd elements of the depth are summed apart and meet before C is added. Products of
  // bfloat16 are exact in float, so that a multiplication and an addition are a fused one.
  template <int C, int A, int B>
  static void dot() {
    if (bytes(A) / 4 != static_cast<size_t>(rows(B)) || bytes(B) != bytes(C) ||
        rows(A) != rows(C)) {
      throw std::logic_error("shapes of tiles");
    }
    const int columns = static_cast<int>(bytes(C) / 4);
    for (int m = 0; m < rows(C); ++m) {
      float sums[2][16] = {};
      for (int k = 0; k < rows(B); ++k) {
        for (int odd = 0; odd < 2; ++odd) {
          const float a = element(A, m, 2 * k + odd);
          for (int n = 0; n < columns; ++n) sums[odd][n] += a * element(B, k, 2 * n + odd);
        }
      }
      float c[16];
      std::memcpy(c, tile(C)[m], sizeof c);
      for (int n = 0; n < columns; ++n) c[n] += sums[0][n] + sums[1][n];
      std::memcpy(tile(C)[m], c, sizeof c);
    }
  }

 private:
  using Bytes = unsigned char[16][64];
  struct State {
    TileConfig config;
    Bytes tiles[8];
  };
  static State& state() {
    static State one = {};
    return one;
  }

  static Bytes& tile(int t) {
    if (state().config.palette != 1) throw std::logic_error("tiles are not configured");
    return state().tiles[t];
  }
  static int rows(int t) { return state().config.rows[t]; }
  static size_t bytes(int t) { return state().config.row_bytes[t]; }
  static float element(int t, int row, int i) {
    uint16_t x;
    std::memcpy(&x, state().tiles[t][row] + 2 * i, sizeof x);
    return widen_bf16(x);
  }
};

// Vec<float> of 16 lanes, as far as the tiles' kernel needs it.
struct Lanes16 {
  static constexpr int width = 16;
  float lane[width];

  static Lanes16 load(const float* p) { return load(p, width, 0); }
  static Lanes16 load(const float* p, int n, float fill) {
    Lanes16 v;
    for (int i = 0; i < width; ++i) v.lane[i] = i < n ? p[i] : fill;
    return v;
  }
  static void store(float* p, Lanes16 v) { store(p, width, v); }
  static void store(float* p, int n, Lanes16 v) {
    std::memcpy(p, v.lane, static_cast<size_t>(n) * sizeof(float));
  }
  static Lanes16 add(Lanes16 a, Lanes16 b) {
    for (int i = 0; i < width; ++i) a.lane[i] += b.lane[i];
    return a;
  }
};

}  // namespace gd::testing

#pragma once

// What ldtilecfg reads. Every tile is 16 rows of 64 bytes, whatever the matrices' sizes: panels are
// filled up with zeros, and reconfiguring takes longer than multiplying them.

#include <cstdint>

namespace gd::kernels {

struct alignas(64) TileConfig {
  uint8_t palette;
  uint8_t start_row;
  uint8_t reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
static_assert(sizeof(TileConfig) == 64);

namespace {

constexpr int kTiles = 8;
constexpr int kTileRows = 16;
constexpr int kTileRowBytes = 64;

constexpr TileConfig whole_tiles() {
  TileConfig config{};
  config.palette = 1;
  for (int tile = 0; tile < kTiles; ++tile) {
    config.row_bytes[tile] = kTileRowBytes;
    config.rows[tile] = kTileRows;
  }
  return config;
}

// Outside of functions: they all read it from the same place in memory.
constexpr TileConfig kWholeTiles = whole_tiles();

inline bool same_config(const TileConfig& a, const TileConfig& b) {
  return __builtin_memcmp(&a, &b, sizeof a) == 0;
}

}  // namespace
}  // namespace gd::kernels

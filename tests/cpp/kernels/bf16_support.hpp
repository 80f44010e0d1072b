#pragma once

// The units that multiply bfloat16, as far as they can be tried here, and a packing in plain C++
// that says in which order each wants its panels.

#include <cstdio>
#include <vector>

#include "cpp/kernels/emulated_tiles.hpp"
#include "cpp/kernels/support.hpp"
#include "kernels/amx/gemm-inl.hpp"
#include "kernels/bf16_units.hpp"
#include "kernels/cpu_features.hpp"
#include "kernels/float_mode.hpp"

namespace gd::testing {

using kernels::Bf16Kernels;
using kernels::Bf16Pack;
using kernels::Bf16Tile;
using kernels::Chain;

// To nearest even; denormals are zeros, NaN stays NaN.
inline uint16_t round_to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if (std::isnan(x)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  if ((bits & 0x7F800000) == 0) return static_cast<uint16_t>((bits >> 16) & 0x8000);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

inline bool same_bf16(uint16_t a, uint16_t b) {
  return a == b || (std::isnan(widen_bf16(a)) && std::isnan(widen_bf16(b)));
}

// A panel's order: element (k, x) lies at (k / group, x, k % group).
struct PanelOrder {
  int64_t width;
  int64_t group;
  int64_t step;  // depths are filled up to its multiples
  int64_t size(int64_t depth) const { return (depth + step - 1) / step * step * width; }
  size_t at(int64_t k, int64_t x) const {
    return static_cast<size_t>((k / group * width + x) * group + k % group);
  }
};

inline void pack_plainly(const Bf16Pack& block, const PanelOrder& order) {
  const int64_t size = order.size(block.depth);
  for (int64_t i = 0; i < size; ++i) {
    block.to[i] = 0;
    if (block.low != 0) block.to[block.low + i] = 0;
  }
  for (int64_t k = 0; k < block.depth; ++k) {
    for (int64_t x = 0; x < block.width; ++x) {
      const float value = block.from[k * block.from_depth + x * block.from_width];
      uint16_t* const to = block.to + order.at(k, x);
      *to = round_to_bf16(value);
      if (block.low != 0) to[block.low] = round_to_bf16(value - widen_bf16(*to));
    }
  }
}

constexpr PanelOrder kTilesA = {32, 32, 32};
constexpr PanelOrder kTilesB = {32, 2, 32};
constexpr PanelOrder kVectorsA = {14, 2, 2};
constexpr PanelOrder kVectorsB = {32, 2, 2};

inline const Bf16Kernels& emulated_tiles() {
  static const Bf16Kernels unit = {
      "tiles in emulation",
      {32, 32, 64, 64, 64, 64},
      32,
      3,
      [](const Bf16Pack& block) { pack_plainly(block, kTilesA); },
      [](const Bf16Pack& block) { pack_plainly(block, kTilesB); },
      kernels::gemm_on_tiles<EmulatedTiles, Lanes16>,
      kernels::tiles_peak<EmulatedTiles>,
      kernels::enter_tiles<EmulatedTiles>,
      kernels::leave_tiles<EmulatedTiles>,
  };
  return unit;
}

// body(its kernels, order of A, order of B) for every unit that runs here, in its mode.
template <class Body>
void for_every_bf16_unit(Body body) {
  {
    const uint64_t mode = kernels::enter_float_mode();
    const bool entered = kernels::enter_tiles<EmulatedTiles>();
    body(emulated_tiles(), kTilesA, kTilesB);
    kernels::leave_tiles<EmulatedTiles>(entered);
    kernels::leave_float_mode(mode);
  }
  for (const char* isa : {"avx512_bf16", "amx"}) {
    const kernels::KernelTable* table = kernels::table_of(isa);
    if (table == nullptr) {
      std::printf("skip %s: this machine has none\n", isa);
      continue;
    }
    const Mode mode(*table);
    const bool entered = table->bf16->enter();
    const bool tiles = table->bf16->depth_step == 32;
    body(*table->bf16, tiles ? kTilesA : kVectorsA, tiles ? kTilesB : kVectorsB);
    table->bf16->leave(entered);
  }
}

// body(name, pack, order) for every packing that runs here. Those for tiles need no tiles.
template <class Body>
void for_every_bf16_packing(Body body) {
  const Mode scalar(*kernels::table_of("scalar"));
  body("plain", emulated_tiles().pack_a, kTilesA);
  if (!kernels::has_avx512_bf16()) {
    std::printf("skip packing: this processor has no AVX512_BF16\n");
    return;
  }
#if defined(__x86_64__)
  body("avx512_bf16 a", kernels::avx512_bf16::unit().pack_a, kVectorsA);
  body("avx512_bf16 b", kernels::avx512_bf16::unit().pack_b, kVectorsB);
  body("amx a", kernels::amx::unit().pack_a, kTilesA);
  body("amx b", kernels::amx::unit().pack_b, kTilesB);
#endif
}

}  // namespace gd::testing

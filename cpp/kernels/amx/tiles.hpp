#pragma once

// The tile instructions that the kernels use. Written out, because GCC 12's intrinsics do not tell
// the compiler that a load reads memory, and take no template's constants.

#include <cstdint>

#include "kernels/amx/tile_config.hpp"

namespace gd::kernels {
namespace {

struct HardwareTiles {
  static void configure(const TileConfig& config) { asm volatile("ldtilecfg %0" : : "m"(config)); }
  static TileConfig configuration() {  // all zeros when there is none
    TileConfig config;
    asm volatile("sttilecfg %0" : "=m"(config));
    return config;
  }
  static void release() { asm volatile("tilerelease"); }

  template <int Tile>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(Tile));
  }
  template <int Tile>
  static void load(const void* from, int64_t row_bytes) {
    asm volatile("tileloadd (%1,%2,1), %%tmm%c0"
                 :
                 : "i"(Tile), "r"(from), "r"(row_bytes)
                 : "memory");
  }
  template <int Tile>
  static void store(void* to, int64_t row_bytes) {
    asm volatile("tilestored %%tmm%c0, (%1,%2,1)"
                 :
                 : "i"(Tile), "r"(to), "r"(row_bytes)
                 : "memory");
  }
  // C += A B: A is 16 rows of 32 of the depth, B 16 rows of pairs of the depth for 16 columns.
  template <int C, int A, int B>
  static void dot() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
  }
};

}  // namespace
}  // namespace gd::kernels

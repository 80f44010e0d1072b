#pragma once

// Rounds blocks of a float matrix to bfloat16 and orders them as the units read them. Everything
// goes in squares of 16 x 16 pairs (32 of the depth x 16 of the width), a vector a row.

#include <immintrin.h>

#include <cstdint>

#include "kernels/avx512/vec.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// Where element (k, x) of a panel lies.
enum class Bf16Order : uint8_t {
  pairs,  // (k / 2, x, k % 2): a vector holds one pair of the depth for 16 x
  runs,   // (k / 32, x, k % 32): a vector holds 32 of the depth for one x
};

constexpr int64_t kSquareDepth = 32;
constexpr int64_t kSquareWidth = 16;

// 16 floats, or the first n of them and zeros.
inline __m512 load_some(const float* from, int64_t n) {
  if (n >= 16) return _mm512_loadu_ps(from);
  if (n <= 0) return _mm512_setzero_ps();
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), from);
}

inline __m512 widen(__m256i half) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

// The high or low parts of 32 floats, in their order.
template <bool Low>
inline __m512i parts(__m512 first, __m512 second) {
  const auto high = (__m512i)_mm512_cvtne2ps_pbh(second, first);
  if constexpr (!Low) return high;
  first = _mm512_sub_ps(first, widen(_mm512_castsi512_si256(high)));
  second = _mm512_sub_ps(second, widen(_mm512_extracti64x4_epi64(high, 1)));
  return (__m512i)_mm512_cvtne2ps_pbh(second, first);
}

// (16 firsts, 16 seconds) to 16 pairs.
struct PairUp {
  alignas(64) uint16_t from[32] = {};
  constexpr PairUp() {
    for (uint16_t i = 0; i < 16; ++i) {
      from[2 * i] = i;
      from[2 * i + 1] = static_cast<uint16_t>(16 + i);
    }
  }
};
constexpr PairUp kPairUp;

inline void transpose(__m512i* square) {
  Vec<float> rows[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) rows[i].r = _mm512_castsi512_ps(square[i]);
  Vec<float>::transpose(rows);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) square[i] = _mm512_castps_si512(rows[i].r);
}

// Where the width lies side by side: vector i holds the pairs (k0 + 2 i, k0 + 2 i + 1).
template <bool Low>
inline void load_pairs(const Bf16Pack& block, int64_t k0, int64_t x0, __m512i* square) {
  const __m512i pair_up = _mm512_load_si512(kPairUp.from);
  const int64_t wide = block.width - x0;
#pragma GCC unroll 16
  for (int64_t i = 0; i < 16; ++i) {
    const int64_t k = k0 + 2 * i;
    const float* const from = block.from + k * block.from_depth + x0;
    const __m512 first = load_some(from, k < block.depth ? wide : 0);
    const __m512 second = load_some(from + block.from_depth, k + 1 < block.depth ? wide : 0);
    square[i] = _mm512_permutexvar_epi16(pair_up, parts<Low>(first, second));
  }
}

// Where the depth lies side by side: vector i holds 32 of the depth for x0 + i.
template <bool Low>
inline void load_runs(const Bf16Pack& block, int64_t k0, int64_t x0, __m512i* square) {
  const int64_t deep = block.depth - k0;
#pragma GCC unroll 16
  for (int64_t i = 0; i < 16; ++i) {
    const bool there = x0 + i < block.width;
    const float* const from = block.from + (x0 + i) * block.from_width + k0;
    // No hardware prefetcher follows this many rows at once.
    if (there && !Low) {
      __builtin_prefetch(from + kSquareDepth);
      __builtin_prefetch(from + kSquareDepth + 16);
    }
    square[i] =
        parts<Low>(load_some(from, there ? deep : 0), load_some(from + 16, there ? deep - 16 : 0));
  }
}

// A vector may run over into pairs of the depth that are written later, but not behind the panel.
template <int Width>
inline void store_pairs(uint16_t* panel, int64_t pairs, int64_t k0, int64_t x0,
                        const __m512i* square) {
  for (int64_t i = 0; i < 16; ++i) {
    const int64_t at = (k0 / 2 + i) * Width + x0;
    const int64_t left = pairs * Width - at;
    if (k0 / 2 + i >= pairs) return;
    if (left >= 16) {
      _mm512_storeu_si512(panel + 2 * at, square[i]);
    } else {
      _mm512_mask_storeu_epi32(panel + 2 * at, static_cast<__mmask16>((1u << left) - 1u),
                               square[i]);
    }
  }
}

template <int Width>
inline void store_runs(uint16_t* panel, int64_t k0, int64_t x0, const __m512i* square) {
  static_assert(Width % kSquareWidth == 0);
  uint16_t* const to = panel + (k0 * Width + x0 * kSquareDepth);
#pragma GCC unroll 16
  for (int64_t i = 0; i < 16; ++i) _mm512_storeu_si512(to + i * kSquareDepth, square[i]);
}

template <Bf16Order Source, Bf16Order Target, int Width, int Step, bool Low>
__attribute__((noinline)) void pack_square(const Bf16Pack& block, int64_t k0, int64_t x0) {
  uint16_t* const panel = Low ? block.to + block.low : block.to;
  __m512i square[16];
  if constexpr (Source == Bf16Order::pairs) {
    load_pairs<Low>(block, k0, x0, square);
  } else {
    load_runs<Low>(block, k0, x0, square);
  }
  if constexpr (Source != Target) transpose(square);
  if constexpr (Target == Bf16Order::pairs) {
    store_pairs<Width>(panel, (block.depth + Step - 1) / Step * (Step / 2), k0, x0, square);
  } else {
    static_assert(Step == kSquareDepth);
    store_runs<Width>(panel, k0, x0, square);
  }
}

// Squares of the same depth go from the last to the first: what runs over is overwritten.
template <Bf16Order Source, Bf16Order Target, int Width, int Step>
void pack_along(const Bf16Pack& block) {
  constexpr int64_t kLast = (Width - 1) / kSquareWidth * kSquareWidth;
  for (int64_t k0 = 0; k0 < block.depth; k0 += kSquareDepth) {
    for (int64_t x0 = kLast; x0 >= 0; x0 -= kSquareWidth) {
      pack_square<Source, Target, Width, Step, false>(block, k0, x0);
      if (block.low != 0) pack_square<Source, Target, Width, Step, true>(block, k0, x0);
    }
  }
}

template <Bf16Order Target, int Width, int Step>
void pack_bf16(const Bf16Pack& block) {
  if (block.from_width == 1) return pack_along<Bf16Order::pairs, Target, Width, Step>(block);
  if (block.from_depth == 1) return pack_along<Bf16Order::runs, Target, Width, Step>(block);
  // Neither lies side by side: through a copy in which the width does.
  alignas(64) float copy[kSquareDepth * Width];
  for (int64_t k0 = 0; k0 < block.depth; k0 += kSquareDepth) {
    const int64_t deep = block.depth - k0 < kSquareDepth ? block.depth - k0 : kSquareDepth;
    for (int64_t k = 0; k < deep; ++k) {
      for (int64_t x = 0; x < block.width; ++x) {
        copy[k * Width + x] = block.from[(k0 + k) * block.from_depth + x * block.from_width];
      }
    }
    // Both orders have whole squares of the depth one behind the other.
    pack_along<Bf16Order::pairs, Target, Width, Step>(
        {deep, block.width, copy, Width, 1, block.to + k0 * Width, block.low});
  }
}

}  // namespace
}  // namespace gd::kernels

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

struct Floats {
  __m512 first;
  __m512 second;
};

inline __m512i high_parts(Floats x) { return (__m512i)_mm512_cvtne2ps_pbh(x.second, x.first); }

inline __m512i low_parts(Floats x, __m512i high) {
  return high_parts({_mm512_sub_ps(x.first, widen(_mm512_castsi512_si256(high))),
                     _mm512_sub_ps(x.second, widen(_mm512_extracti64x4_epi64(high, 1)))});
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

// What row i of the square at (k0, x0) is made of. Where the width lies side by side in the source,
// these are the pairs (k0 + 2 i, k0 + 2 i + 1), else 32 of the depth for x0 + i.
template <Bf16Order Source>
inline Floats load_row(const Bf16Pack& block, int64_t k0, int64_t x0, int64_t i) {
  if constexpr (Source == Bf16Order::pairs) {
    const int64_t k = k0 + 2 * i;
    const int64_t wide = block.width - x0;
    const float* const from = block.from + k * block.from_depth + x0;
    return {load_some(from, k < block.depth ? wide : 0),
            load_some(from + block.from_depth, k + 1 < block.depth ? wide : 0)};
  } else {
    const int64_t deep = x0 + i < block.width ? block.depth - k0 : 0;
    const float* const from = block.from + (x0 + i) * block.from_width + k0;
    // No hardware prefetcher follows this many rows at once.
    if (deep > kSquareDepth) {
      __builtin_prefetch(from + kSquareDepth);
      __builtin_prefetch(from + kSquareDepth + 16);
    }
    return {load_some(from, deep), load_some(from + 16, deep - 16)};
  }
}

template <Bf16Order Source>
inline __m512i in_order(__m512i words) {
  if constexpr (Source == Bf16Order::runs) return words;
  return _mm512_permutexvar_epi16(_mm512_load_si512(kPairUp.from), words);
}

// Row i of a square. A row of pairs may run over into those that are written later, but not behind
// the panel of so many pairs.
template <Bf16Order Target, int Width>
inline void store_row(uint16_t* panel, int64_t pairs, int64_t k0, int64_t x0, int64_t i,
                      __m512i row) {
  if constexpr (Target == Bf16Order::runs) {
    static_assert(Width % kSquareWidth == 0);
    _mm512_storeu_si512(panel + k0 * Width + (x0 + i) * kSquareDepth, row);
  } else {
    const int64_t at = (k0 / 2 + i) * Width + x0;
    const int64_t left = pairs * Width - at;
    if (left >= 16) {
      _mm512_storeu_si512(panel + 2 * at, row);
    } else if (left > 0) {
      _mm512_mask_storeu_epi32(panel + 2 * at, static_cast<__mmask16>((1u << left) - 1u), row);
    }
  }
}

// The source lies in the panel's order.
template <Bf16Order Order, int Width, bool Split>
inline void pack_row(const Bf16Pack& block, int64_t pairs, int64_t k0, int64_t x0, int64_t i) {
  const Floats x = load_row<Order>(block, k0, x0, i);
  const __m512i high = high_parts(x);
  store_row<Order, Width>(block.to, pairs, k0, x0, i, in_order<Order>(high));
  if constexpr (Split) {
    store_row<Order, Width>(block.to + block.low, pairs, k0, x0, i,
                            in_order<Order>(low_parts(x, high)));
  }
}

// The source lies in the other order.
template <Bf16Order Source, Bf16Order Target, int Width, bool Split>
inline void pack_square(const Bf16Pack& block, int64_t pairs, int64_t k0, int64_t x0) {
  __m512i high[16];
  __m512i low[16];
#pragma GCC unroll 16
  for (int64_t i = 0; i < 16; ++i) {
    const Floats x = load_row<Source>(block, k0, x0, i);
    const __m512i words = high_parts(x);
    high[i] = in_order<Source>(words);
    if constexpr (Split) low[i] = in_order<Source>(low_parts(x, words));
  }
  transpose(high);
#pragma GCC unroll 16
  for (int64_t i = 0; i < 16; ++i) {
    store_row<Target, Width>(block.to, pairs, k0, x0, i, high[i]);
  }
  if constexpr (Split) {
    transpose(low);
#pragma GCC unroll 16
    for (int64_t i = 0; i < 16; ++i) {
      store_row<Target, Width>(block.to + block.low, pairs, k0, x0, i, low[i]);
    }
  }
}

// Goes through the source as it lies, whole rows or few at once: from memory that is twice as fast.
template <Bf16Order Source, Bf16Order Target, int Width, bool Split>
__attribute__((noinline)) void pack_all(const Bf16Pack& block, int64_t pairs) {
  static_assert(Width <= kSquareWidth || Width % kSquareWidth == 0);  // see store_row
  if constexpr (Source == Bf16Order::pairs) {
    for (int64_t k0 = 0; k0 < block.depth; k0 += kSquareDepth) {
      if constexpr (Source == Target) {
        for (int64_t i = 0; i < 16; ++i) {
          for (int64_t x0 = 0; x0 < Width; x0 += kSquareWidth) {
            pack_row<Source, Width, Split>(block, pairs, k0, x0, i);
          }
        }
      } else {
        for (int64_t x0 = 0; x0 < Width; x0 += kSquareWidth) {
          pack_square<Source, Target, Width, Split>(block, pairs, k0, x0);
        }
      }
    }
  } else {
    for (int64_t x0 = 0; x0 < Width; x0 += kSquareWidth) {
      for (int64_t k0 = 0; k0 < block.depth; k0 += kSquareDepth) {
        if constexpr (Source == Target) {
          for (int64_t i = 0; i < 16; ++i) pack_row<Source, Width, Split>(block, pairs, k0, x0, i);
        } else {
          pack_square<Source, Target, Width, Split>(block, pairs, k0, x0);
        }
      }
    }
  }
}

template <Bf16Order Source, Bf16Order Target, int Width, int Step>
void pack_along(const Bf16Pack& block) {
  static_assert(Target == Bf16Order::pairs || Step == kSquareDepth);
  const int64_t pairs = (block.depth + Step - 1) / Step * (Step / 2);
  block.low != 0 ? pack_all<Source, Target, Width, true>(block, pairs)
                 : pack_all<Source, Target, Width, false>(block, pairs);
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

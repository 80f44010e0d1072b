#include <immintrin.h>

#include "kernels/avx512/blocks.hpp"
#include "kernels/avx512_bf16/pack.hpp"
#include "kernels/bf16_units.hpp"

namespace gd::kernels {
namespace {

// As float32's tile: 28 of 32 registers accumulate, 2 hold B.
constexpr int kRows = 14;
constexpr int kVectors = 2;
constexpr int kColumns = 16 * kVectors;
constexpr int kStep = 2;

inline __m512 dot(__m512 sum, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

// Pairs of A are broadcast, pairs of B loaded. Panels are filled up with zeros, so only C has
// tails.
template <int Rows, int Vectors>
__attribute__((noinline)) void gemm_tile(const Bf16Tile& tile) {
  const auto last = static_cast<__mmask16>((1u << (tile.cols - 16 * (Vectors - 1))) - 1u);
  const auto mask = [&](int j) { return j == Vectors - 1 ? last : static_cast<__mmask16>(-1); };

  const float* const before = tile.before != nullptr ? tile.before : tile.c;
  const int64_t ld_before = tile.before != nullptr ? tile.ld_before : tile.ldc;
  __m512 sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    float* const row = tile.c + i * tile.ldc;
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) {
      sum[i][j] = tile.chain == Chain::go_on
                      ? _mm512_maskz_loadu_ps(mask(j), before + i * ld_before + 16 * j)
                      : _mm512_setzero_ps();
    }
    // C is needed after the last product: by then it shall be here.
    __builtin_prefetch(row, 1);
    if (Vectors > 1) __builtin_prefetch(row + 16, 1);
  }

  // Small products first: low * high, high * low, high * high.
  for (int pass = 3 - tile.products; pass < 3; ++pass) {
    const uint16_t* a = tile.a + (pass == 0 ? tile.a_low : 0);
    const uint16_t* b = tile.b + (pass == 1 ? tile.b_low : 0);
    for (int64_t k = 0; k < tile.depth; k += kStep) {
      __m512i bk[Vectors];
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) bk[j] = _mm512_loadu_si512(b + 32 * j);
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) {
        int pair;
        __builtin_memcpy(&pair, a + 2 * i, sizeof pair);
        const __m512i aik = _mm512_set1_epi32(pair);
#pragma GCC unroll 8
        for (int j = 0; j < Vectors; ++j) sum[i][j] = dot(sum[i][j], aik, bk[j]);
      }
      a += kStep * kRows;
      b += kStep * kColumns;
    }
  }

  if (tile.chain == Chain::add_part) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) {
        const float* const had = before + i * ld_before + 16 * j;
        sum[i][j] = _mm512_add_ps(_mm512_maskz_loadu_ps(mask(j), had), sum[i][j]);
      }
    }
  }
  if (tile.bias != nullptr) {
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) {
      const __m512 bias = _mm512_maskz_loadu_ps(mask(j), tile.bias + 16 * j);
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) sum[i][j] = _mm512_add_ps(sum[i][j], bias);
    }
  }
  if (last == static_cast<__mmask16>(-1)) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) {
        _mm512_storeu_ps(tile.c + i * tile.ldc + 16 * j, sum[i][j]);
      }
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) {
        _mm512_mask_storeu_ps(tile.c + i * tile.ldc + 16 * j, mask(j), sum[i][j]);
      }
    }
  }
}

// Chooses the compiled tile of tile.rows rows, 1 <= rows <= Rows.
template <int Rows, int Vectors>
void gemm_rows(const Bf16Tile& tile) {
  if constexpr (Rows > 1) {
    if (tile.rows < Rows) return gemm_rows<Rows - 1, Vectors>(tile);
  }
  gemm_tile<Rows, Vectors>(tile);
}

void gemm(const Bf16Tile& tile) {
  tile.cols <= 16 ? gemm_rows<kRows, 1>(tile) : gemm_rows<kRows, kVectors>(tile);
}

// Independent chains enough to cover the latency.
constexpr int kPeakChains = 24;

int64_t peak(int64_t rounds, float* sink) {
  __m512 sums[kPeakChains];
  for (int i = 0; i < kPeakChains; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  volatile int tiny_pair = 0x35803580;  // (2^-20, 2^-20); unknown to the compiler
  const __m512i factor = _mm512_set1_epi32(tiny_pair);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < kPeakChains; ++i) sums[i] = dot(sums[i], factor, factor);
  }
  __m512 total = sums[0];
  for (int i = 1; i < kPeakChains; ++i) total = _mm512_add_ps(total, sums[i]);
  _mm512_mask_storeu_ps(sink, 1, total);
  return rounds * kPeakChains * 16 * 2 * 2;
}

// Half the bytes of float32's elements: twice its depth has the same place in cache.
constexpr Bf16Kernels kUnit = {
    "avx512_bf16",
    {kRows, kColumns, 168, 1024, 1024, 1024},
    kStep,
    1,
    pack_bf16<Bf16Order::pairs, kRows, kStep>,
    pack_bf16<Bf16Order::pairs, kColumns, kStep>,
    gemm,
    peak,
    [] { return false; },
    [](bool) {},
};

KernelTable make() {
  KernelTable table = avx512::table();
  table.isa = "avx512_bf16";
  table.bf16 = &kUnit;
  return table;
}

}  // namespace

const Bf16Kernels& avx512_bf16::unit() { return kUnit; }

const KernelTable& avx512_bf16::table() {
  static const KernelTable made = make();
  return made;
}

}  // namespace gd::kernels

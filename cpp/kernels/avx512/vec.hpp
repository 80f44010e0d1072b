#pragma once

// AVX-512 (F, BW, DQ, VL). See scalar/vec.hpp for what each operation means.
// The namespace is anonymous on purpose: no symbol of a file with these flags may leak (nm test).

#include <immintrin.h>

#include <cstdint>

namespace gd::kernels {
namespace {

// A transpose is log2(Lanes) rounds; round `s` swaps the s x s blocks off the diagonal between rows
// s apart. Lane l of the upper row comes from low[l], of the lower one from high[l]; indices from
// Lanes on are the other row's.
template <class Int, int Lanes>
struct ExchangeIndices {
  alignas(64) Int low[4][Lanes] = {};
  alignas(64) Int high[4][Lanes] = {};
  constexpr ExchangeIndices() {
    for (int round = 0; (1 << round) < Lanes; ++round) {
      const int s = 1 << round;
      for (int l = 0; l < Lanes; ++l) {
        low[round][l] = (l & s) == 0 ? l : Lanes + l - s;
        high[round][l] = (l & s) == 0 ? l + s : Lanes + l;
      }
    }
  }
};
constexpr ExchangeIndices<int32_t, 16> kExchange16;
constexpr ExchangeIndices<int64_t, 8> kExchange8;

template <class T>
struct Vec;

template <>
struct Vec<float> {
  using scalar = float;
  using V = Vec;
  using Mask = __mmask16;
  static constexpr int width = 16;
  __m512 r;

  static Mask first(int n) { return static_cast<Mask>((1u << n) - 1u); }
  static V load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static V load(const float* p, int n, float fill) {
    return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first(n), p)};
  }
  static void store(float* p, V a) { _mm512_storeu_ps(p, a.r); }
  static void store(float* p, int n, V a) { _mm512_mask_storeu_ps(p, first(n), a.r); }
  static V set1(float x) { return {_mm512_set1_ps(x)}; }

  static V add(V a, V b) { return {_mm512_add_ps(a.r, b.r)}; }
  static V sub(V a, V b) { return {_mm512_sub_ps(a.r, b.r)}; }
  static V mul(V a, V b) { return {_mm512_mul_ps(a.r, b.r)}; }
  static V div(V a, V b) { return {_mm512_div_ps(a.r, b.r)}; }
  static V fma(V a, V b, V c) { return {_mm512_fmadd_ps(a.r, b.r, c.r)}; }
  static V sqrt(V a) { return {_mm512_sqrt_ps(a.r)}; }
  static V abs(V a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.r)}; }
  static V copysign(V magnitude, V sign) {
    const __m512 bit = _mm512_set1_ps(-0.0f);
    return {_mm512_or_ps(_mm512_andnot_ps(bit, magnitude.r), _mm512_and_ps(bit, sign.r))};
  }
  static V max(V a, V b) { return {_mm512_max_ps(a.r, b.r)}; }
  static V min(V a, V b) { return {_mm512_min_ps(a.r, b.r)}; }

  static Mask lt(V a, V b) { return _mm512_cmp_ps_mask(a.r, b.r, _CMP_LT_OQ); }
  static Mask le(V a, V b) { return _mm512_cmp_ps_mask(a.r, b.r, _CMP_LE_OQ); }
  static Mask gt(V a, V b) { return _mm512_cmp_ps_mask(a.r, b.r, _CMP_GT_OQ); }
  static Mask ge(V a, V b) { return _mm512_cmp_ps_mask(a.r, b.r, _CMP_GE_OQ); }
  static Mask eq(V a, V b) { return _mm512_cmp_ps_mask(a.r, b.r, _CMP_EQ_OQ); }
  static V select(Mask m, V yes, V no) { return {_mm512_mask_blend_ps(m, no.r, yes.r)}; }
  static Mask at_least(const uint32_t* p, uint32_t least) {
    return _mm512_cmpge_epu32_mask(_mm512_loadu_si512(p),
                                   _mm512_set1_epi32(static_cast<int>(least)));
  }
  static Mask is_negative_zero(V a) {
    return _mm512_cmpeq_epi32_mask(_mm512_castps_si512(a.r),
                                   _mm512_castps_si512(_mm512_set1_ps(-0.0f)));
  }

  static void transpose(V* rows) {
#pragma GCC unroll 4
    for (int round = 3; round >= 0; --round) {
      const __m512i low = _mm512_load_si512(kExchange16.low[round]);
      const __m512i high = _mm512_load_si512(kExchange16.high[round]);
#pragma GCC unroll 16
      for (int i = 0; i < width; ++i) {
        if ((i & (1 << round)) != 0) continue;
        V& upper = rows[i];
        V& lower = rows[i + (1 << round)];
        const auto kept = upper.r;
        upper.r = _mm512_permutex2var_ps(kept, low, lower.r);
        lower.r = _mm512_permutex2var_ps(kept, high, lower.r);
      }
    }
  }

  static V round(V a) {
    return {_mm512_roundscale_ps(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  static V exp2i(V n) {
    const __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(n.r), _mm512_set1_epi32(127));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(e, 23))};
  }
  static void split(V x, V* m, V* e) {
    const __m512i bits = _mm512_castps_si512(x.r);
    const __m512i mantissa = _mm512_and_si512(bits, _mm512_set1_epi32(0x007FFFFF));
    m->r = _mm512_castsi512_ps(_mm512_or_si512(mantissa, _mm512_set1_epi32(0x3F800000)));
    e->r =
        _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_srli_epi32(bits, 23), _mm512_set1_epi32(127)));
  }
};

template <>
struct Vec<double> {
  using scalar = double;
  using V = Vec;
  using Mask = __mmask8;
  static constexpr int width = 8;
  __m512d r;

  static Mask first(int n) { return static_cast<Mask>((1u << n) - 1u); }
  static V load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static V load(const double* p, int n, double fill) {
    return {_mm512_mask_loadu_pd(_mm512_set1_pd(fill), first(n), p)};
  }
  static void store(double* p, V a) { _mm512_storeu_pd(p, a.r); }
  static void store(double* p, int n, V a) { _mm512_mask_storeu_pd(p, first(n), a.r); }
  static V set1(double x) { return {_mm512_set1_pd(x)}; }

  static V add(V a, V b) { return {_mm512_add_pd(a.r, b.r)}; }
  static V sub(V a, V b) { return {_mm512_sub_pd(a.r, b.r)}; }
  static V mul(V a, V b) { return {_mm512_mul_pd(a.r, b.r)}; }
  static V div(V a, V b) { return {_mm512_div_pd(a.r, b.r)}; }
  static V fma(V a, V b, V c) { return {_mm512_fmadd_pd(a.r, b.r, c.r)}; }
  static V sqrt(V a) { return {_mm512_sqrt_pd(a.r)}; }
  static V abs(V a) { return {_mm512_andnot_pd(_mm512_set1_pd(-0.0), a.r)}; }
  static V copysign(V magnitude, V sign) {
    const __m512d bit = _mm512_set1_pd(-0.0);
    return {_mm512_or_pd(_mm512_andnot_pd(bit, magnitude.r), _mm512_and_pd(bit, sign.r))};
  }
  static V max(V a, V b) { return {_mm512_max_pd(a.r, b.r)}; }
  static V min(V a, V b) { return {_mm512_min_pd(a.r, b.r)}; }

  static Mask lt(V a, V b) { return _mm512_cmp_pd_mask(a.r, b.r, _CMP_LT_OQ); }
  static Mask le(V a, V b) { return _mm512_cmp_pd_mask(a.r, b.r, _CMP_LE_OQ); }
  static Mask gt(V a, V b) { return _mm512_cmp_pd_mask(a.r, b.r, _CMP_GT_OQ); }
  static Mask ge(V a, V b) { return _mm512_cmp_pd_mask(a.r, b.r, _CMP_GE_OQ); }
  static Mask eq(V a, V b) { return _mm512_cmp_pd_mask(a.r, b.r, _CMP_EQ_OQ); }
  static V select(Mask m, V yes, V no) { return {_mm512_mask_blend_pd(m, no.r, yes.r)}; }
  static Mask at_least(const uint32_t* p, uint32_t least) {
    return _mm256_cmpge_epu32_mask(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                                   _mm256_set1_epi32(static_cast<int>(least)));
  }
  static Mask is_negative_zero(V a) {
    return _mm512_cmpeq_epi64_mask(_mm512_castpd_si512(a.r),
                                   _mm512_castpd_si512(_mm512_set1_pd(-0.0)));
  }

  static void transpose(V* rows) {
#pragma GCC unroll 4
    for (int round = 2; round >= 0; --round) {
      const __m512i low = _mm512_load_si512(kExchange8.low[round]);
      const __m512i high = _mm512_load_si512(kExchange8.high[round]);
#pragma GCC unroll 16
      for (int i = 0; i < width; ++i) {
        if ((i & (1 << round)) != 0) continue;
        V& upper = rows[i];
        V& lower = rows[i + (1 << round)];
        const auto kept = upper.r;
        upper.r = _mm512_permutex2var_pd(kept, low, lower.r);
        lower.r = _mm512_permutex2var_pd(kept, high, lower.r);
      }
    }
  }

  static V round(V a) {
    return {_mm512_roundscale_pd(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  static V exp2i(V n) {
    const __m512i e = _mm512_add_epi64(_mm512_cvtpd_epi64(n.r), _mm512_set1_epi64(1023));
    return {_mm512_castsi512_pd(_mm512_slli_epi64(e, 52))};
  }
  static void split(V x, V* m, V* e) {
    const __m512i bits = _mm512_castpd_si512(x.r);
    const __m512i mantissa = _mm512_and_si512(bits, _mm512_set1_epi64(0x000FFFFFFFFFFFFF));
    m->r = _mm512_castsi512_pd(_mm512_or_si512(mantissa, _mm512_set1_epi64(0x3FF0000000000000)));
    e->r =
        _mm512_cvtepi64_pd(_mm512_sub_epi64(_mm512_srli_epi64(bits, 52), _mm512_set1_epi64(1023)));
  }
};

struct Words {
  static constexpr int width = 16;
  __m512i r;

  static Words load(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
  static void store(uint32_t* p, Words a) { _mm512_storeu_si512(p, a.r); }
  static Words set1(uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
  static Words add(Words a, Words b) { return {_mm512_add_epi32(a.r, b.r)}; }
  static Words exclusive_or(Words a, Words b) { return {_mm512_xor_si512(a.r, b.r)}; }
  static Words lower_half(Words a) { return {_mm512_and_si512(a.r, _mm512_set1_epi32(0xFFFF))}; }
  static Words upper_half(Words a) { return {_mm512_srli_epi32(a.r, 16)}; }
  static void multiply(Words a, Words m, Words* high, Words* low) {
    constexpr __mmask16 kOdd = 0xAAAA;
    const __m512i even = _mm512_mul_epu32(a.r, m.r);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a.r, 32), m.r);
    high->r = _mm512_mask_blend_epi32(kOdd, _mm512_srli_epi64(even, 32), odd);
    low->r = _mm512_mask_blend_epi32(kOdd, even, _mm512_slli_epi64(odd, 32));
  }
};

}  // namespace
}  // namespace gd::kernels

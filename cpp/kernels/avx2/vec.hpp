#pragma once

// AVX2 with FMA. See scalar/vec.hpp for what each operation means.
// The namespace is anonymous on purpose: no symbol of a file with these flags may leak (nm test).

#include <immintrin.h>

#include <cstdint>

namespace gd::kernels {
namespace {

// A window over these, n elements from the middle to the left, selects the first n lanes.
alignas(64) constexpr int32_t kLaneMask32[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
alignas(64) constexpr int64_t kLaneMask64[8] = {-1, -1, -1, -1};

template <class T>
struct Vec;

template <>
struct Vec<float> {
  using scalar = float;
  using V = Vec;
  using Mask = __m256;
  static constexpr int width = 8;
  __m256 r;

  static __m256i first(int n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLaneMask32 + 8 - n));
  }
  static V load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static V load(const float* p, int n, float fill) {
    const __m256i mask = first(n);
    return {_mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, mask),
                             _mm256_castsi256_ps(mask))};
  }
  static void store(float* p, V a) { _mm256_storeu_ps(p, a.r); }
  static void store(float* p, int n, V a) { _mm256_maskstore_ps(p, first(n), a.r); }
  static V set1(float x) { return {_mm256_set1_ps(x)}; }

  static V add(V a, V b) { return {_mm256_add_ps(a.r, b.r)}; }
  static V sub(V a, V b) { return {_mm256_sub_ps(a.r, b.r)}; }
  static V mul(V a, V b) { return {_mm256_mul_ps(a.r, b.r)}; }
  static V div(V a, V b) { return {_mm256_div_ps(a.r, b.r)}; }
  static V fma(V a, V b, V c) { return {_mm256_fmadd_ps(a.r, b.r, c.r)}; }
  static V sqrt(V a) { return {_mm256_sqrt_ps(a.r)}; }
  static V abs(V a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.r)}; }
  static V copysign(V magnitude, V sign) {
    const __m256 bit = _mm256_set1_ps(-0.0f);
    return {_mm256_or_ps(_mm256_andnot_ps(bit, magnitude.r), _mm256_and_ps(bit, sign.r))};
  }
  static V max(V a, V b) { return {_mm256_max_ps(a.r, b.r)}; }
  static V min(V a, V b) { return {_mm256_min_ps(a.r, b.r)}; }

  static Mask lt(V a, V b) { return _mm256_cmp_ps(a.r, b.r, _CMP_LT_OQ); }
  static Mask le(V a, V b) { return _mm256_cmp_ps(a.r, b.r, _CMP_LE_OQ); }
  static Mask gt(V a, V b) { return _mm256_cmp_ps(a.r, b.r, _CMP_GT_OQ); }
  static Mask ge(V a, V b) { return _mm256_cmp_ps(a.r, b.r, _CMP_GE_OQ); }
  static Mask eq(V a, V b) { return _mm256_cmp_ps(a.r, b.r, _CMP_EQ_OQ); }
  static V select(Mask m, V yes, V no) { return {_mm256_blendv_ps(no.r, yes.r, m)}; }
  static Mask at_least(const uint32_t* p, uint32_t least) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i larger = _mm256_max_epu32(words, _mm256_set1_epi32(static_cast<int>(least)));
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(words, larger));
  }
  static Mask is_negative_zero(V a) {
    const __m256i sign = _mm256_castps_si256(_mm256_set1_ps(-0.0f));
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_castps_si256(a.r), sign));
  }

  static void transpose(V* rows) {
    __m256 pairs[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {  // 2 x 2 blocks
      pairs[i] = _mm256_unpacklo_ps(rows[i].r, rows[i + 1].r);
      pairs[i + 1] = _mm256_unpackhi_ps(rows[i].r, rows[i + 1].r);
    }
    __m256 quads[8];
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {  // 4 x 4 within each half
      quads[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
      quads[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
      quads[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
      quads[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {  // halves
      rows[i].r = _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x20);
      rows[i + 4].r = _mm256_permute2f128_ps(quads[i], quads[i + 4], 0x31);
    }
  }

  static V round(V a) {
    return {_mm256_round_ps(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  static V exp2i(V n) {
    const __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n.r), _mm256_set1_epi32(127));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(e, 23))};
  }
  static void split(V x, V* m, V* e) {
    const __m256i bits = _mm256_castps_si256(x.r);
    const __m256i mantissa = _mm256_and_si256(bits, _mm256_set1_epi32(0x007FFFFF));
    m->r = _mm256_castsi256_ps(_mm256_or_si256(mantissa, _mm256_set1_epi32(0x3F800000)));
    e->r =
        _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127)));
  }
};

template <>
struct Vec<double> {
  using scalar = double;
  using V = Vec;
  using Mask = __m256d;
  static constexpr int width = 4;
  __m256d r;

  static __m256i first(int n) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLaneMask64 + 4 - n));
  }
  static V load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static V load(const double* p, int n, double fill) {
    const __m256i mask = first(n);
    return {_mm256_blendv_pd(_mm256_set1_pd(fill), _mm256_maskload_pd(p, mask),
                             _mm256_castsi256_pd(mask))};
  }
  static void store(double* p, V a) { _mm256_storeu_pd(p, a.r); }
  static void store(double* p, int n, V a) { _mm256_maskstore_pd(p, first(n), a.r); }
  static V set1(double x) { return {_mm256_set1_pd(x)}; }

  static V add(V a, V b) { return {_mm256_add_pd(a.r, b.r)}; }
  static V sub(V a, V b) { return {_mm256_sub_pd(a.r, b.r)}; }
  static V mul(V a, V b) { return {_mm256_mul_pd(a.r, b.r)}; }
  static V div(V a, V b) { return {_mm256_div_pd(a.r, b.r)}; }
  static V fma(V a, V b, V c) { return {_mm256_fmadd_pd(a.r, b.r, c.r)}; }
  static V sqrt(V a) { return {_mm256_sqrt_pd(a.r)}; }
  static V abs(V a) { return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), a.r)}; }
  static V copysign(V magnitude, V sign) {
    const __m256d bit = _mm256_set1_pd(-0.0);
    return {_mm256_or_pd(_mm256_andnot_pd(bit, magnitude.r), _mm256_and_pd(bit, sign.r))};
  }
  static V max(V a, V b) { return {_mm256_max_pd(a.r, b.r)}; }
  static V min(V a, V b) { return {_mm256_min_pd(a.r, b.r)}; }

  static Mask lt(V a, V b) { return _mm256_cmp_pd(a.r, b.r, _CMP_LT_OQ); }
  static Mask le(V a, V b) { return _mm256_cmp_pd(a.r, b.r, _CMP_LE_OQ); }
  static Mask gt(V a, V b) { return _mm256_cmp_pd(a.r, b.r, _CMP_GT_OQ); }
  static Mask ge(V a, V b) { return _mm256_cmp_pd(a.r, b.r, _CMP_GE_OQ); }
  static Mask eq(V a, V b) { return _mm256_cmp_pd(a.r, b.r, _CMP_EQ_OQ); }
  static V select(Mask m, V yes, V no) { return {_mm256_blendv_pd(no.r, yes.r, m)}; }
  static Mask at_least(const uint32_t* p, uint32_t least) {
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i larger = _mm_max_epu32(words, _mm_set1_epi32(static_cast<int>(least)));
    return _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm_cmpeq_epi32(words, larger)));
  }
  static Mask is_negative_zero(V a) {
    const __m256i sign = _mm256_castpd_si256(_mm256_set1_pd(-0.0));
    return _mm256_castsi256_pd(_mm256_cmpeq_epi64(_mm256_castpd_si256(a.r), sign));
  }

  static void transpose(V* rows) {
    const __m256d low01 = _mm256_unpacklo_pd(rows[0].r, rows[1].r);
    const __m256d high01 = _mm256_unpackhi_pd(rows[0].r, rows[1].r);
    const __m256d low23 = _mm256_unpacklo_pd(rows[2].r, rows[3].r);
    const __m256d high23 = _mm256_unpackhi_pd(rows[2].r, rows[3].r);
    rows[0].r = _mm256_permute2f128_pd(low01, low23, 0x20);
    rows[1].r = _mm256_permute2f128_pd(high01, high23, 0x20);
    rows[2].r = _mm256_permute2f128_pd(low01, low23, 0x31);
    rows[3].r = _mm256_permute2f128_pd(high01, high23, 0x31);
  }

  static V round(V a) {
    return {_mm256_round_pd(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  // AVX2 cannot convert 64-bit integers. Adding 1.5 * 2^52 leaves a small integer in the low bits
  // of the mantissa; or-ing 2^52's exponent on top of small bits makes that integer a double.
  static V exp2i(V n) {
    const __m256i biased =
        _mm256_castpd_si256(_mm256_add_pd(n.r, _mm256_set1_pd(6755399441055744.0 + 1023.0)));
    return {_mm256_castsi256_pd(_mm256_slli_epi64(biased, 52))};
  }
  static void split(V x, V* m, V* e) {
    const __m256i bits = _mm256_castpd_si256(x.r);
    const __m256i mantissa = _mm256_and_si256(bits, _mm256_set1_epi64x(0x000FFFFFFFFFFFFF));
    m->r = _mm256_castsi256_pd(_mm256_or_si256(mantissa, _mm256_set1_epi64x(0x3FF0000000000000)));
    const __m256i magic = _mm256_set1_epi64x(0x4330000000000000);
    const __m256i shifted = _mm256_or_si256(_mm256_srli_epi64(bits, 52), magic);
    e->r = _mm256_sub_pd(_mm256_castsi256_pd(shifted), _mm256_set1_pd(4503599627370496.0 + 1023.0));
  }
};

struct Words {
  static constexpr int width = 8;
  __m256i r;

  static Words load(const uint32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  static void store(uint32_t* p, Words a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.r);
  }
  static Words set1(uint32_t x) { return {_mm256_set1_epi32(static_cast<int>(x))}; }
  static Words add(Words a, Words b) { return {_mm256_add_epi32(a.r, b.r)}; }
  static Words exclusive_or(Words a, Words b) { return {_mm256_xor_si256(a.r, b.r)}; }
  static Words lower_half(Words a) { return {_mm256_and_si256(a.r, _mm256_set1_epi32(0xFFFF))}; }
  static Words upper_half(Words a) { return {_mm256_srli_epi32(a.r, 16)}; }
  static void multiply(Words a, Words m, Words* high, Words* low) {
    const __m256i even = _mm256_mul_epu32(a.r, m.r);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a.r, 32), m.r);
    high->r = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
    low->r = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
  }
};

}  // namespace
}  // namespace gd::kernels

#pragma once

// Advanced SIMD of AArch64. See scalar/vec.hpp for what each operation means.
// The namespace is anonymous on purpose: no symbol of a file with these flags may leak (nm test).

#include <arm_neon.h>

#include <cstdint>

namespace gd::kernels {
namespace {

template <class T>
struct Vec;

template <>
struct Vec<float> {
  using scalar = float;
  using V = Vec;
  using Mask = uint32x4_t;
  static constexpr int width = 4;
  float32x4_t r;

  static V load(const float* p) { return {vld1q_f32(p)}; }
  static V load(const float* p, int n, float fill) {
    float lanes[4] = {fill, fill, fill, fill};
    for (int i = 0; i < n; ++i) lanes[i] = p[i];
    return load(lanes);
  }
  static void store(float* p, V a) { vst1q_f32(p, a.r); }
  static void store(float* p, int n, V a) {
    float lanes[4];
    store(lanes, a);
    for (int i = 0; i < n; ++i) p[i] = lanes[i];
  }
  static V set1(float x) { return {vdupq_n_f32(x)}; }

  static V add(V a, V b) { return {vaddq_f32(a.r, b.r)}; }
  static V sub(V a, V b) { return {vsubq_f32(a.r, b.r)}; }
  static V mul(V a, V b) { return {vmulq_f32(a.r, b.r)}; }
  static V div(V a, V b) { return {vdivq_f32(a.r, b.r)}; }
  static V fma(V a, V b, V c) { return {vfmaq_f32(c.r, a.r, b.r)}; }
  static V sqrt(V a) { return {vsqrtq_f32(a.r)}; }
  static V abs(V a) { return {vabsq_f32(a.r)}; }
  static V copysign(V magnitude, V sign) {
    return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.r, magnitude.r)};
  }
  static V max(V a, V b) { return {vbslq_f32(vcgtq_f32(a.r, b.r), a.r, b.r)}; }
  static V min(V a, V b) { return {vbslq_f32(vcltq_f32(a.r, b.r), a.r, b.r)}; }

  static Mask lt(V a, V b) { return vcltq_f32(a.r, b.r); }
  static Mask le(V a, V b) { return vcleq_f32(a.r, b.r); }
  static Mask gt(V a, V b) { return vcgtq_f32(a.r, b.r); }
  static Mask ge(V a, V b) { return vcgeq_f32(a.r, b.r); }
  static Mask eq(V a, V b) { return vceqq_f32(a.r, b.r); }
  static V select(Mask m, V yes, V no) { return {vbslq_f32(m, yes.r, no.r)}; }
  static Mask at_least(const uint32_t* p, uint32_t least) {
    return vcgeq_u32(vld1q_u32(p), vdupq_n_u32(least));
  }
  static Mask is_negative_zero(V a) {
    return vceqq_u32(vreinterpretq_u32_f32(a.r), vdupq_n_u32(0x80000000u));
  }

  static void transpose(V* rows) {
    const float64x2_t even01 = vreinterpretq_f64_f32(vtrn1q_f32(rows[0].r, rows[1].r));
    const float64x2_t odd01 = vreinterpretq_f64_f32(vtrn2q_f32(rows[0].r, rows[1].r));
    const float64x2_t even23 = vreinterpretq_f64_f32(vtrn1q_f32(rows[2].r, rows[3].r));
    const float64x2_t odd23 = vreinterpretq_f64_f32(vtrn2q_f32(rows[2].r, rows[3].r));
    rows[0].r = vreinterpretq_f32_f64(vtrn1q_f64(even01, even23));
    rows[1].r = vreinterpretq_f32_f64(vtrn1q_f64(odd01, odd23));
    rows[2].r = vreinterpretq_f32_f64(vtrn2q_f64(even01, even23));
    rows[3].r = vreinterpretq_f32_f64(vtrn2q_f64(odd01, odd23));
  }

  static V round(V a) { return {vrndnq_f32(a.r)}; }
  static V exp2i(V n) {
    const int32x4_t e = vaddq_s32(vcvtnq_s32_f32(n.r), vdupq_n_s32(127));
    return {vreinterpretq_f32_s32(vshlq_n_s32(e, 23))};
  }
  static void split(V x, V* m, V* e) {
    const uint32x4_t bits = vreinterpretq_u32_f32(x.r);
    const uint32x4_t mantissa = vandq_u32(bits, vdupq_n_u32(0x007FFFFFu));
    m->r = vreinterpretq_f32_u32(vorrq_u32(mantissa, vdupq_n_u32(0x3F800000u)));
    const int32x4_t exponent = vreinterpretq_s32_u32(vshrq_n_u32(bits, 23));
    e->r = vcvtq_f32_s32(vsubq_s32(exponent, vdupq_n_s32(127)));
  }
};

template <>
struct Vec<double> {
  using scalar = double;
  using V = Vec;
  using Mask = uint64x2_t;
  static constexpr int width = 2;
  float64x2_t r;

  static V load(const double* p) { return {vld1q_f64(p)}; }
  static V load(const double* p, int n, double fill) {
    double lanes[2] = {fill, fill};
    for (int i = 0; i < n; ++i) lanes[i] = p[i];
    return load(lanes);
  }
  static void store(double* p, V a) { vst1q_f64(p, a.r); }
  static void store(double* p, int n, V a) {
    double lanes[2];
    store(lanes, a);
    for (int i = 0; i < n; ++i) p[i] = lanes[i];
  }
  static V set1(double x) { return {vdupq_n_f64(x)}; }

  static V add(V a, V b) { return {vaddq_f64(a.r, b.r)}; }
  static V sub(V a, V b) { return {vsubq_f64(a.r, b.r)}; }
  static V mul(V a, V b) { return {vmulq_f64(a.r, b.r)}; }
  static V div(V a, V b) { return {vdivq_f64(a.r, b.r)}; }
  static V fma(V a, V b, V c) { return {vfmaq_f64(c.r, a.r, b.r)}; }
  static V sqrt(V a) { return {vsqrtq_f64(a.r)}; }
  static V abs(V a) { return {vabsq_f64(a.r)}; }
  static V copysign(V magnitude, V sign) {
    return {vbslq_f64(vdupq_n_u64(0x8000000000000000u), sign.r, magnitude.r)};
  }
  static V max(V a, V b) { return {vbslq_f64(vcgtq_f64(a.r, b.r), a.r, b.r)}; }
  static V min(V a, V b) { return {vbslq_f64(vcltq_f64(a.r, b.r), a.r, b.r)}; }

  static Mask lt(V a, V b) { return vcltq_f64(a.r, b.r); }
  static Mask le(V a, V b) { return vcleq_f64(a.r, b.r); }
  static Mask gt(V a, V b) { return vcgtq_f64(a.r, b.r); }
  static Mask ge(V a, V b) { return vcgeq_f64(a.r, b.r); }
  static Mask eq(V a, V b) { return vceqq_f64(a.r, b.r); }
  static V select(Mask m, V yes, V no) { return {vbslq_f64(m, yes.r, no.r)}; }
  static Mask at_least(const uint32_t* p, uint32_t least) {
    return vcgeq_u64(vmovl_u32(vld1_u32(p)), vdupq_n_u64(least));
  }
  static Mask is_negative_zero(V a) {
    return vceqq_u64(vreinterpretq_u64_f64(a.r), vdupq_n_u64(0x8000000000000000u));
  }

  static void transpose(V* rows) {
    const float64x2_t first = vtrn1q_f64(rows[0].r, rows[1].r);
    rows[1].r = vtrn2q_f64(rows[0].r, rows[1].r);
    rows[0].r = first;
  }

  static V round(V a) { return {vrndnq_f64(a.r)}; }
  static V exp2i(V n) {
    const int64x2_t e = vaddq_s64(vcvtnq_s64_f64(n.r), vdupq_n_s64(1023));
    return {vreinterpretq_f64_s64(vshlq_n_s64(e, 52))};
  }
  static void split(V x, V* m, V* e) {
    const uint64x2_t bits = vreinterpretq_u64_f64(x.r);
    const uint64x2_t mantissa = vandq_u64(bits, vdupq_n_u64(0x000FFFFFFFFFFFFFu));
    m->r = vreinterpretq_f64_u64(vorrq_u64(mantissa, vdupq_n_u64(0x3FF0000000000000u)));
    const int64x2_t exponent = vreinterpretq_s64_u64(vshrq_n_u64(bits, 52));
    e->r = vcvtq_f64_s64(vsubq_s64(exponent, vdupq_n_s64(1023)));
  }
};

struct Words {
  static constexpr int width = 4;
  uint32x4_t r;

  static Words load(const uint32_t* p) { return {vld1q_u32(p)}; }
  static void store(uint32_t* p, Words a) { vst1q_u32(p, a.r); }
  static Words set1(uint32_t x) { return {vdupq_n_u32(x)}; }
  static Words add(Words a, Words b) { return {vaddq_u32(a.r, b.r)}; }
  static Words exclusive_or(Words a, Words b) { return {veorq_u32(a.r, b.r)}; }
  static Words lower_half(Words a) { return {vandq_u32(a.r, vdupq_n_u32(0xFFFFu))}; }
  static Words upper_half(Words a) { return {vshrq_n_u32(a.r, 16)}; }
  static void multiply(Words a, Words m, Words* high, Words* low) {
    const uint32x4_t front = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a.r), vget_low_u32(m.r)));
    const uint32x4_t back = vreinterpretq_u32_u64(vmull_high_u32(a.r, m.r));
    low->r = vuzp1q_u32(front, back);
    high->r = vuzp2q_u32(front, back);
  }
};

}  // namespace
}  // namespace gd::kernels

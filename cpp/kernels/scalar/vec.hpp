#pragma once

// The reference: one lane, plain C++. Every other vec.hpp has the same operations with more lanes,
// and the same result in each lane, bit for bit.
//
//   load(p, n, fill)   the first n < width lanes from p, the rest `fill`; store(p, n, a) likewise
//   fma(a, b, c)       a * b + c, rounded once
//   max(a, b)          a > b ? a : b (so b when either is NaN); min alike with <
//   round(a)           to the nearest integer, ties to even
//   exp2i(n)           2^n for an integer n in the normal exponent range
//   split(x, m, e)     x = m * 2^e with 1 <= m < 2, for a normal x > 0
//   transpose(rows)    of width x width numbers in as many vectors
//   at_least(p, t)     whether p[0], ..., p[width - 1] are no less than t, as a mask
//   is_negative_zero(a) -0 alone, not 0
// and Words, of unsigned integers of 32 bits:
//   multiply(a, m, high, low)   the product a m, of 64 bits, in halves
//   lower_half(a), upper_half(a)   16 bits of each
//
// The namespace is anonymous on purpose: no symbol of a kernel file may leak (nm test).

#include <cstdint>

namespace gd::kernels {
namespace {

template <class To, class From>
To bits_as(From x) {
  return __builtin_bit_cast(To, x);
}

template <class T>
struct Vec {
  static constexpr bool single = sizeof(T) == sizeof(float);
  using scalar = T;
  using V = Vec;
  using Mask = bool;
  static constexpr int width = 1;
  T r;

  static V load(const T* p) { return {*p}; }
  static V load(const T* p, int n, T fill) { return {n > 0 ? *p : fill}; }
  static void store(T* p, V a) { *p = a.r; }
  static void store(T* p, int n, V a) {
    if (n > 0) *p = a.r;
  }
  static V set1(T x) { return {x}; }

  static V add(V a, V b) { return {a.r + b.r}; }
  static V sub(V a, V b) { return {a.r - b.r}; }
  static V mul(V a, V b) { return {a.r * b.r}; }
  static V div(V a, V b) { return {a.r / b.r}; }
  static V fma(V a, V b, V c) {
    if constexpr (single)
      return {__builtin_fmaf(a.r, b.r, c.r)};
    else
      return {__builtin_fma(a.r, b.r, c.r)};
  }
  static V sqrt(V a) {
    if constexpr (single)
      return {__builtin_sqrtf(a.r)};
    else
      return {__builtin_sqrt(a.r)};
  }
  static V abs(V a) {
    if constexpr (single)
      return {__builtin_fabsf(a.r)};
    else
      return {__builtin_fabs(a.r)};
  }
  static V copysign(V magnitude, V sign) {
    if constexpr (single)
      return {__builtin_copysignf(magnitude.r, sign.r)};
    else
      return {__builtin_copysign(magnitude.r, sign.r)};
  }
  static V max(V a, V b) { return {a.r > b.r ? a.r : b.r}; }
  static V min(V a, V b) { return {a.r < b.r ? a.r : b.r}; }

  static Mask lt(V a, V b) { return a.r < b.r; }
  static Mask le(V a, V b) { return a.r <= b.r; }
  static Mask gt(V a, V b) { return a.r > b.r; }
  static Mask ge(V a, V b) { return a.r >= b.r; }
  static Mask eq(V a, V b) { return a.r == b.r; }
  static V select(Mask m, V yes, V no) { return m ? yes : no; }
  static Mask at_least(const uint32_t* p, uint32_t least) { return *p >= least; }
  static Mask is_negative_zero(V a) {
    if constexpr (single)
      return bits_as<uint32_t>(a.r) == 0x80000000u;
    else
      return bits_as<uint64_t>(a.r) == 0x8000000000000000u;
  }

  static void transpose(V*) {}

  static V round(V a) {
    if constexpr (single)
      return {__builtin_rintf(a.r)};
    else
      return {__builtin_rint(a.r)};
  }
  static V exp2i(V n) {
    if constexpr (single)
      return {bits_as<float>(static_cast<uint32_t>(static_cast<int32_t>(n.r) + 127) << 23)};
    else
      return {bits_as<double>(static_cast<uint64_t>(static_cast<int64_t>(n.r) + 1023) << 52)};
  }
  static void split(V x, V* m, V* e) {
    if constexpr (single) {
      const auto bits = bits_as<uint32_t>(x.r);
      m->r = bits_as<float>((bits & 0x007FFFFFu) | 0x3F800000u);
      e->r = static_cast<float>(static_cast<int32_t>(bits >> 23) - 127);
    } else {
      const auto bits = bits_as<uint64_t>(x.r);
      m->r = bits_as<double>((bits & 0x000FFFFFFFFFFFFFu) | 0x3FF0000000000000u);
      e->r = static_cast<double>(static_cast<int64_t>(bits >> 52) - 1023);
    }
  }
};

struct Words {
  static constexpr int width = 1;
  uint32_t r;

  static Words load(const uint32_t* p) { return {*p}; }
  static void store(uint32_t* p, Words a) { *p = a.r; }
  static Words set1(uint32_t x) { return {x}; }
  static Words add(Words a, Words b) { return {a.r + b.r}; }
  static Words exclusive_or(Words a, Words b) { return {a.r ^ b.r}; }
  static Words lower_half(Words a) { return {a.r & 0xFFFFu}; }
  static Words upper_half(Words a) { return {a.r >> 16}; }
  static void multiply(Words a, Words m, Words* high, Words* low) {
    const uint64_t product = uint64_t{a.r} * m.r;
    high->r = static_cast<uint32_t>(product >> 32);
    low->r = static_cast<uint32_t>(product);
  }
};

}  // namespace
}  // namespace gd::kernels

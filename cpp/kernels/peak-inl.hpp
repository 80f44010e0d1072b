#pragma once

// The most fused multiply-adds a core can do: independent chains that never leave the registers.

#include <cstdint>

namespace gd::kernels {
namespace {

// Chains enough to cover the latency of two units, few enough for 16 registers.
constexpr int kPeakChains = 12;

// Does rounds * kPeakChains vector multiply-adds and returns how many floating-point operations
// that were. `sink` gets the result, so that nothing can be left out.
template <class V>
int64_t fma_peak(int64_t rounds, typename V::scalar* sink) {
  using T = typename V::scalar;
  V sums[kPeakChains];
  for (int i = 0; i < kPeakChains; ++i) sums[i] = V::set1(static_cast<T>(i));
  // Values the compiler cannot know; the sums stay near 1.
  volatile T half = static_cast<T>(0.5);
  const V factor = V::set1(half);
  const V term = V::set1(half);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kPeakChains; ++i) sums[i] = V::fma(sums[i], factor, term);
  }
  V total = sums[0];
  for (int i = 1; i < kPeakChains; ++i) total = V::add(total, sums[i]);
  V::store(sink, 1, total);
  return rounds * kPeakChains * V::width * 2;
}

}  // namespace
}  // namespace gd::kernels

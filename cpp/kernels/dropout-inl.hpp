#pragma once

// Elements that are left out at random. Integers alone decide which: the compiler may cut these
// loops into vectors as it likes.

#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// Four words each of this many Philox4x32-10 blocks (Salmon, Moraes, Dror, Shaw: "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011), as base/philox.hpp computes them one by one. Word w of
// block b is at words[w * kBlocks + b].
constexpr int kBlocks = 16;
constexpr int kDrawn = 4 * kBlocks;

inline void draw(const uint32_t (&counter)[4], const uint32_t (&key)[2], uint32_t* words) {
  uint32_t* const a = words;
  uint32_t* const b = words + kBlocks;
  uint32_t* const c = words + 2 * kBlocks;
  uint32_t* const d = words + 3 * kBlocks;
  for (int i = 0; i < kBlocks; ++i) {
    a[i] = counter[0] + static_cast<uint32_t>(i);
    b[i] = counter[1];
    c[i] = counter[2];
    d[i] = counter[3];
  }
  uint32_t key0 = key[0];
  uint32_t key1 = key[1];
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kBlocks; ++i) {
      const uint64_t x = uint64_t{0xD2511F53u} * a[i];
      const uint64_t y = uint64_t{0xCD9E8D57u} * c[i];
      const auto high_x = static_cast<uint32_t>(x >> 32);
      const auto high_y = static_cast<uint32_t>(y >> 32);
      a[i] = high_y ^ b[i] ^ key0;
      c[i] = high_x ^ d[i] ^ key1;
      b[i] = static_cast<uint32_t>(y);
      d[i] = static_cast<uint32_t>(x);
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

// y = x scale where the element's word is at least the threshold, else 0. The words of a row come
// from its number in the batch, its layer and the step, and from nothing that a schedule decides.
template <class T>
void dropout(const DropoutRows<T>& p) {
  const uint32_t key[2] = {p.key[0], p.key[1]};
  for (int64_t i = 0; i < p.rows; ++i) {
    const T* const x = p.x + i * p.ldx;
    T* const y = p.y + i * p.ldy;
    for (int64_t j = 0; j < p.cols; j += kDrawn) {
      // The purpose sits where base/philox.hpp has it, so that no other stream has these words.
      const auto row = static_cast<uint64_t>(p.first_row + i);
      const uint32_t counter[4] = {static_cast<uint32_t>(j / kDrawn * kBlocks),
                                   (uint32_t{3} << 24) | static_cast<uint32_t>(row & 0xFFFFFF),
                                   p.layer ^ static_cast<uint32_t>(row >> 24 << 16), p.step};
      alignas(64) uint32_t words[kDrawn];
      draw(counter, key, words);
      const int64_t count = p.cols - j < kDrawn ? p.cols - j : kDrawn;
      for (int64_t k = 0; k < count; ++k) {
        const T scaled = x[j + k] * p.scale;
        y[j + k] = words[k] < p.threshold ? T{0} : scaled;
      }
    }
  }
}

}  // namespace
}  // namespace gd::kernels

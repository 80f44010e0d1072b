#pragma once

// Elements that are left out at random. Integers alone decide which. Included after an ISA's
// vec.hpp.

#include "kernels/lanes-inl.hpp"
#include "kernels/pointwise-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// Four words each of this many Philox4x32-10 blocks (Salmon, Moraes, Dror, Shaw: "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011), as base/philox.hpp computes them one by one. Of word w of
// block b, i = w * kBlocks + b, the lower half is for element i and the upper one for i + kHalf:
// drawing is what takes long, and 16 bits are as fine as a rate need be.
constexpr int kBlocks = 16;
constexpr int kHalf = 4 * kBlocks;
constexpr int kDrawn = 2 * kHalf;
constexpr uint32_t kNumbers[kBlocks] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

template <class W>
inline void draw(const uint32_t (&counter)[4], const uint32_t (&key)[2], uint32_t* halves) {
  const W by_a = W::set1(0xD2511F53u);
  const W by_c = W::set1(0xCD9E8D57u);
  const W step0 = W::set1(0x9E3779B9u);
  const W step1 = W::set1(0xBB67AE85u);
  for (int block = 0; block < kBlocks; block += W::width) {
    W a = W::add(W::set1(counter[0]), W::load(kNumbers + block));
    W b = W::set1(counter[1]);
    W c = W::set1(counter[2]);
    W d = W::set1(counter[3]);
    W key0 = W::set1(key[0]);
    W key1 = W::set1(key[1]);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      W high_x, low_x, high_y, low_y;
      W::multiply(a, by_a, &high_x, &low_x);
      W::multiply(c, by_c, &high_y, &low_y);
      a = W::exclusive_or(W::exclusive_or(high_y, b), key0);
      c = W::exclusive_or(W::exclusive_or(high_x, d), key1);
      b = low_y;
      d = low_x;
      key0 = W::add(key0, step0);
      key1 = W::add(key1, step1);
    }
    const W drawn[4] = {a, b, c, d};
    for (int w = 0; w < 4; ++w) {
      uint32_t* const lower = halves + w * kBlocks + block;
      W::store(lower, W::lower_half(drawn[w]));
      W::store(lower + kHalf, W::upper_half(drawn[w]));
    }
  }
}

// y = x scale where the element's half of a word is at least the threshold, else -0. What is kept
// becomes no -0, so that y tells which those are. The words of a row come from its number in the
// batch, its layer and the step, and from nothing that a schedule decides.
template <class V, class T = typename V::scalar>
void dropout(const DropoutRows<T>& p) {
  const uint32_t key[2] = {p.key[0], p.key[1]};
  const V by = V::set1(p.scale);
  const V zero = V::set1(0);
  const V gone = V::set1(T(-0.0));
  alignas(64) uint32_t halves[kDrawn + V::width] = {};  // a vector may begin at any of them
  for (int64_t i = 0; i < p.rows; ++i) {
    // Columns [j, end) of x are some of those that one draw has words for.
    for (int64_t j = 0, end = 0; j < p.cols; j = end) {
      const int64_t column = p.first_col + j;
      const int64_t first = column / kDrawn * kDrawn;
      const int64_t last = first + kDrawn - p.first_col;
      end = last < p.cols ? last : p.cols;
      // The purpose sits where base/philox.hpp has it, so that no other stream has these words.
      const auto row = static_cast<uint64_t>(p.first_row + i);
      const uint32_t counter[4] = {static_cast<uint32_t>(first / kDrawn * kBlocks),
                                   (uint32_t{3} << 24) | static_cast<uint32_t>(row & 0xFFFFFF),
                                   p.layer ^ static_cast<uint32_t>(row >> 24 << 16), p.step};
      draw<Words>(counter, key, halves);
      const T* const x = p.x + i * p.ldx + j;
      T* const y = p.y + i * p.ldy + j;
      const uint32_t* const half = halves + (column - first);
      const auto kept = [&](int64_t k, int n) {
        const V scaled = V::fma(load_lanes<V>(x, k, n, 0), by, zero);
        return V::select(V::at_least(half + k, p.threshold), scaled, gone);
      };
      for_vectors<V>(
          end - j, [&](int64_t k) { V::store(y + k, kept(k, V::width)); },
          [&](int64_t k, int n) { V::store(y + k, n, kept(k, n)); });
    }
  }
}

// to = a factor where b, which dropout made, was kept, else 0.
template <class V, class T = typename V::scalar>
void keep_rows(const ElementRows<T>& p) {
  const V by = V::set1(p.factor);
  const V zero = V::set1(0);
  map_rows<V>(p, [&](const T* a, const T* b, int64_t j, int n) {
    const V scaled = V::mul(load_lanes<V>(a, j, n, 0), by);
    return V::select(V::is_negative_zero(load_lanes<V>(b, j, n, 0)), zero, scaled);
  });
}

}  // namespace
}  // namespace gd::kernels

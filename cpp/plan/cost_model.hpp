#pragma once

#include <cstdint>

namespace gd::plan {

// The longest chain of a split sum, in samples for a weight or bias gradient, in neurons for an
// input gradient. Parts are added in order. Given by the shape alone, so that every schedule sums
// alike; at most the kc of every instruction set's blocks.
inline constexpr int64_t kSumPart = 256;

// Elements from a row to the next in buffers of our own, for rows of `cols` elements of `size`
// bytes. Rows a large power of two apart would evict each other from L1 when a matmul reads several
// at once.
constexpr int64_t buffer_stride(int64_t cols, int64_t size) {
  constexpr int64_t line = 64;
  return cols * size % 1024 == 0 ? cols + line / size : cols;
}

// The arithmetic of one pass of an elementwise rule, roughly: two operations for the weight and for
// each of its states.
constexpr int64_t update_flops(int64_t size, int states) { return 2 * size * (1 + states); }

// Most rows that go through a network at once in training. A larger batch is taken in such pieces,
// whose gradients add up; a multiple of kSumPart, so that the sums are the same chains.
inline constexpr int64_t kMostRows = 8 * kSumPart;

// How many of at most `most` workers a step of `flops` is worth.
int workers_for(int64_t flops, int most);

}  // namespace gd::plan

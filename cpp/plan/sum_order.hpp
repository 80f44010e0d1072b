#pragma once

// The lengths that results depend on: where sums over samples and over neurons are cut. A change
// here changes the bits of every training run; nothing that only makes it faster belongs here.

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace gd::plan {

// The longest chain of a split sum, in samples for a weight or bias gradient, in neurons for an
// input gradient. Parts are added in order. Given by the shape alone, so that every schedule sums
// alike; at most the kc of every instruction set's blocks.
inline constexpr int64_t kSumPart = 256;

// The same for the samples of a batch of that many rows, in a network of that many parameters:
// parts of a batch are what workers can share where each takes samples, so small networks get
// several.
int64_t sample_part(int64_t rows, int64_t parameters);

// Most rows that go through a network at once in training. A larger batch is taken in such pieces,
// whose gradients add up; a multiple of kSumPart, so that the sums are the same chains.
inline constexpr int64_t kMostRows = 8 * kSumPart;

// The same where so many rows see each other (nn::Node::together, not 0): a multiple of both.
constexpr int64_t most_rows(int64_t together) {
  const int64_t least = std::lcm(together, kSumPart);
  return std::max(least, kMostRows / least * least);
}

}  // namespace gd::plan

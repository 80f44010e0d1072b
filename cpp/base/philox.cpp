#include "base/philox.hpp"

#include <cmath>

#include "base/scalar_math.hpp"

namespace gd::base {

namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9;  // golden ratio
constexpr uint32_t kWeyl1 = 0xBB67AE85;  // sqrt(3) - 1
constexpr int kRounds = 10;

constexpr uint32_t low(uint64_t x) { return static_cast<uint32_t>(x); }
constexpr uint32_t high(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t p0 = uint64_t{kMultiplier0} * c[0];
    const uint64_t p1 = uint64_t{kMultiplier1} * c[2];
    c = {high(p1) ^ c[1] ^ key[0], low(p1), high(p0) ^ c[3] ^ key[1], low(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return c;
}

uint64_t RandomStream::bits() {
  if (used_ == 4) {
    // The purpose sits in the top of the block number: 2^56 blocks are more than anyone draws.
    const uint64_t block = block_++ | (uint64_t{static_cast<uint32_t>(purpose_)} << 56);
    words_ =
        philox4x32({low(block), high(block), low(index_), high(index_)}, {low(seed_), high(seed_)});
    used_ = 0;
  }
  const uint64_t value = words_[used_] | (uint64_t{words_[used_ + 1]} << 32);
  used_ += 2;
  return value;
}

uint64_t RandomStream::below(uint64_t bound) {
  // Multiply and take the high half; reject the few values that would favour small results.
  // Lemire: "Fast random integer generation in an interval", 2019.
  const uint64_t threshold = (0 - bound) % bound;
  while (true) {
    const auto product = static_cast<unsigned __int128>(bits()) * bound;
    if (static_cast<uint64_t>(product) >= threshold) return static_cast<uint64_t>(product >> 64);
  }
}

double RandomStream::uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * log(1.0 - uniform()));
  return radius * cos_two_pi(uniform());
}

}  // namespace gd::base

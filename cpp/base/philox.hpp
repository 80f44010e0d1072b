#pragma once

#include <array>
#include <cstdint>

namespace gd::base {

// What a random stream is for. Part of its key, so that no purpose ever disturbs another.
enum class StreamPurpose : uint32_t { initial_values = 1, shuffle = 2, dropout = 3 };

// Philox4x32-10: block number `counter` of the stream `key`, four random words.
// Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// The stream named by (purpose, seed, index), e.g. (shuffle, 7, epoch). Any element can be computed
// at any time, so what is drawn depends neither on threads nor on what was drawn before.
class RandomStream {
 public:
  RandomStream(StreamPurpose purpose, uint64_t seed, uint64_t index = 0)
      : purpose_(purpose), seed_(seed), index_(index) {}

  uint64_t bits();                 // the next 64 random bits
  uint64_t below(uint64_t bound);  // uniform in [0, bound), bound >= 1, without bias
  double uniform();                // uniform in [0, 1), 53 bits
  double normal();                 // standard normal (Box-Muller)

 private:
  StreamPurpose purpose_;
  uint64_t seed_;
  uint64_t index_;
  uint64_t block_ = 0;
  std::array<uint32_t, 4> words_{};
  int used_ = 4;
};

}  // namespace gd::base

#include "base/philox.hpp"

#include <cmath>
#include <set>

#include "cpp/base/support.hpp"

using gd::base::philox4x32;
using gd::base::RandomStream;
using gd::base::StreamPurpose;

namespace {

using Words = std::array<uint32_t, 4>;

}  // namespace

// The known answers of the Random123 library for philox4x32 with 10 rounds.
TEST(philox_gives_the_known_answers) {
  CHECK(
      (philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t ones = 0xffffffff;
  CHECK((philox4x32({ones, ones, ones, ones}, {ones, ones}) ==
         Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK((philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
         Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(stream_is_philox_in_counter_order) {
  constexpr uint64_t seed = 0x1122334455667788;
  constexpr uint64_t index = 0x99aabbccddeeff00;
  RandomStream stream(StreamPurpose::shuffle, seed, index);
  for (uint32_t block = 0; block < 3; ++block) {
    const Words words =
        philox4x32({block, 2u << 24, 0xddeeff00, 0x99aabbcc}, {0x55667788, 0x11223344});
    CHECK_EQ(stream.bits(), words[0] | (uint64_t{words[1]} << 32));
    CHECK_EQ(stream.bits(), words[2] | (uint64_t{words[3]} << 32));
  }
}

TEST(streams_of_other_purpose_seed_or_index_differ) {
  std::set<uint64_t> firsts;
  for (const auto purpose :
       {StreamPurpose::initial_values, StreamPurpose::shuffle, StreamPurpose::dropout}) {
    for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
      for (const uint64_t index : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40}) {
        firsts.insert(RandomStream(purpose, seed, index).bits());
        CHECK_EQ(RandomStream(purpose, seed, index).bits(),
                 RandomStream(purpose, seed, index).bits());
      }
    }
  }
  CHECK_EQ(firsts.size(), 27u);
}

TEST(below_stays_in_range_and_favours_nobody) {
  RandomStream stream = gd::testing::random_stream(1);
  for (const uint64_t bound :
       {uint64_t{1}, uint64_t{2}, uint64_t{1} << 40, (uint64_t{1} << 63) + 1, ~uint64_t{0}}) {
    for (int i = 0; i < 200; ++i) CHECK(stream.below(bound) < bound);
  }
  constexpr int kBins = 10;
  constexpr int kDraws = 20'000;
  int counts[kBins] = {};
  for (int i = 0; i < kDraws; ++i) ++counts[stream.below(kBins)];
  double chi_square = 0;
  for (const int count : counts) {
    const double expected = static_cast<double>(kDraws) / kBins;
    chi_square += (count - expected) * (count - expected) / expected;
  }
  CHECK(chi_square < 27.9);  // 9 degrees of freedom: one stream in a thousand is beyond
}

// Four values share three results: without rejection every third result would come twice as often.
TEST(below_rejects_for_bounds_that_do_not_divide) {
  RandomStream stream = gd::testing::random_stream(2);
  constexpr uint64_t bound = 3 * (uint64_t{1} << 62);
  constexpr int kDraws = 6000;
  int residues[3] = {};
  for (int i = 0; i < kDraws; ++i) ++residues[stream.below(bound) % 3];
  for (const int count : residues) CHECK_CLOSE(count, kDraws / 3, 150);
}

TEST(uniform_is_in_the_unit_interval_and_even) {
  RandomStream stream = gd::testing::random_stream(3);
  constexpr int kDraws = 20'000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = stream.uniform();
    CHECK(u >= 0.0 && u < 1.0);
    CHECK_EQ(u, std::floor(std::ldexp(u, 53)) * 0x1p-53);  // 53 bits and no more
    sum += u;
    squares += u * u;
  }
  CHECK_CLOSE(sum / kDraws, 0.5, 4 * std::sqrt(1.0 / 12 / kDraws));
  CHECK_CLOSE(squares / kDraws, 1.0 / 3, 4 * std::sqrt(4.0 / 45 / kDraws));
}

TEST(normal_has_the_moments_of_the_normal_distribution) {
  RandomStream stream = gd::testing::random_stream(4);
  constexpr int kDraws = 40'000;
  double moments[5] = {};
  int beyond_two = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double z = stream.normal();
    CHECK(std::isfinite(z));
    double power = 1;
    for (double& moment : moments) {
      moment += power / kDraws;
      power *= z;
    }
    beyond_two += std::abs(z) > 2 ? 1 : 0;
  }
  // Four standard deviations of each estimate.
  const double width = 4 / std::sqrt(kDraws);
  CHECK_CLOSE(moments[1], 0.0, width);
  CHECK_CLOSE(moments[2], 1.0, width * std::sqrt(2.0));
  CHECK_CLOSE(moments[3], 0.0, width * std::sqrt(15.0));
  CHECK_CLOSE(moments[4], 3.0, width * std::sqrt(96.0));
  CHECK_CLOSE(beyond_two / static_cast<double>(kDraws), 0.0455, width * 0.21);
}

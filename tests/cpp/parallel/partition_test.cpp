#include "parallel/partition.hpp"

#include "cpp/testing.hpp"

using gd::parallel::Range;
using gd::parallel::split;

TEST(split_covers_everything_once_and_evenly) {
  for (const int64_t total : {0, 1, 2, 7, 16, 63, 64, 65, 1000}) {
    for (const int parts : {1, 2, 3, 5, 8, 70}) {
      for (const int64_t granule : {1, 2, 16, 64}) {
        int64_t next = 0;
        int64_t longest = 0;
        int64_t shortest = total;
        for (int index = 0; index < parts; ++index) {
          const Range range = split(total, parts, index, granule);
          CHECK_EQ(range.begin, next);
          CHECK(range.end >= range.begin);
          CHECK(range.end == total || range.end % granule == 0);
          next = range.end;
          longest = std::max(longest, range.size());
          shortest = std::min(shortest, range.size());
        }
        CHECK_EQ(next, total);
        CHECK(longest - shortest <= granule || total % granule != 0);
      }
    }
  }
}

TEST(split_does_not_overflow) {
  const int64_t huge = INT64_MAX / 2;
  CHECK_EQ(split(huge, 1000, 999).end, huge);
  CHECK_EQ(split(huge, 1000, 0).begin, 0);
}

TEST(split_is_known_at_compile_time) { static_assert(split(10, 3, 1).begin == 4); }

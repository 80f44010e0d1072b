#include "plan/sum_order.hpp"

#include <algorithm>
#include <bit>

namespace gd::plan {

namespace {

constexpr int64_t kLeastPart = 16;
// Larger networks are shared by tiles, which short parts do not help.
constexpr int64_t kMostParametersInShortParts = 96'000;

}  // namespace

int64_t sample_part(int64_t rows, int64_t parameters) {
  if (parameters > kMostParametersInShortParts) return kSumPart;
  // Two parts up to 128 rows, four up to 1024.
  const auto all = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
  return std::clamp(rows <= 128 ? all / 2 : all / 4, kLeastPart, kSumPart);
}

}  // namespace gd::plan

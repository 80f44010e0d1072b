#include "plan/sum_order.hpp"

#include <algorithm>

namespace gd::plan {

namespace {

constexpr int64_t kLeastPart = 16;
// Larger networks are shared by tiles, which short parts do not help.
constexpr int64_t kMostParametersInShortParts = 96'000;

}  // namespace

int64_t sample_part(int64_t rows, int64_t parameters) {
  if (parameters > kMostParametersInShortParts) return kSumPart;
  // Two parts up to 128 rows, four up to 1024: as long as each other, as the longest one is waited
  // for.
  const int64_t parts = rows <= 128 ? 2 : 4;
  return std::clamp((rows + parts - 1) / parts, kLeastPart, kSumPart);
}

}  // namespace gd::plan

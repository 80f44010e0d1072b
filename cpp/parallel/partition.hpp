#pragma once

#include <algorithm>
#include <cstdint>

namespace gd::parallel {

struct Range {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
  bool empty() const { return begin >= end; }
};

// Part `index` of [0, total) cut into `parts` pieces in order, whose sizes differ by at most one
// granule. Every boundary but the last is a multiple of `granule`; some pieces may be empty.
constexpr Range split(int64_t total, int parts, int index, int64_t granule = 1) {
  const int64_t granules = total / granule + (total % granule != 0 ? 1 : 0);
  const int64_t each = granules / parts;
  const int64_t longer = granules % parts;  // the first `longer` pieces have one granule more
  const int64_t begin = each * index + std::min<int64_t>(index, longer);
  const int64_t end = begin + each + (index < longer ? 1 : 0);
  return {std::min(begin * granule, total), std::min(end * granule, total)};
}

}  // namespace gd::parallel

#pragma once

// Flat buffers hold one parameter after the other, each from a cache line on, with gaps between
// them. Extents are the runs without gaps, in order. Passes over flat buffers go through them
// alone: what lies in a gap is nobody's number, is never read and never written.

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "parallel/partition.hpp"

namespace gd::ops {

using Extents = std::span<const parallel::Range>;

// Where the last one ends.
inline int64_t extents_end(Extents extents) { return extents.empty() ? 0 : extents.back().end; }

inline int64_t elements_of(Extents extents) {
  int64_t size = 0;
  for (const parallel::Range& extent : extents) size += extent.size();
  return size;
}

// Calls f(run) for each run of `piece` that lies in an extent, in order.
template <class F>
void for_extents(Extents extents, parallel::Range piece, F&& f) {
  const auto ends_before = [](const parallel::Range& extent, int64_t at) {
    return extent.end <= at;
  };
  auto extent = std::lower_bound(extents.begin(), extents.end(), piece.begin, ends_before);
  for (; extent != extents.end() && extent->begin < piece.end; ++extent) {
    f(parallel::Range{std::max(extent->begin, piece.begin), std::min(extent->end, piece.end)});
  }
}

// What lies in both.
inline std::vector<parallel::Range> common(Extents a, Extents b) {
  std::vector<parallel::Range> both;
  for (const parallel::Range& run : a) {
    for_extents(b, run, [&](parallel::Range part) { both.push_back(part); });
  }
  return both;
}

// What `piece` has of one flat buffer to the same places of another.
template <class T>
void copy_extents(Extents extents, parallel::Range piece, const T* from, T* to) {
  for_extents(extents, piece, [&](parallel::Range run) {
    std::copy_n(from + run.begin, run.size(), to + run.begin);
  });
}

template <class T>
void copy_extents(Extents extents, const T* from, T* to) {
  copy_extents(extents, {0, extents_end(extents)}, from, to);
}

}  // namespace gd::ops

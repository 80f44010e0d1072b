#pragma once

// Whether gaps of flat buffers are left alone (ops/extents.hpp): the C++ tests have them filled,
// and buffers that are written before they are read, with a pattern that no arithmetic makes. Who
// reads it computes NaN, and who writes over it is found at the end of the step.

#include <bit>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "ops/extents.hpp"

namespace gd::nn {

// Set by a program of tests before its first network, else by nobody: a constant of the build would
// have all rooms compiled twice.
inline bool checks_gaps = false;

template <class T>
T gap_pattern() {
  if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<float>(uint32_t{0x7fc5a5a5});
  } else {
    return std::bit_cast<double>(uint64_t{0x7ff8a5a5a5a5a5a5});
  }
}

// Calls f(run) for each gap of a flat buffer of `size` elements.
template <class F>
void for_gaps(ops::Extents extents, int64_t size, F&& f) {
  int64_t end = 0;
  for (const parallel::Range& extent : extents) {
    if (end < extent.begin) f(parallel::Range{end, extent.begin});
    end = extent.end;
  }
  if (end < size) f(parallel::Range{end, size});
}

template <class T>
void fill_gaps(ops::Extents extents, int64_t size, T* flat) {
  if (checks_gaps) {
    for_gaps(extents, size, [&](parallel::Range gap) {
      std::fill_n(flat + gap.begin, gap.size(), gap_pattern<T>());
    });
  }
}

template <class T>
void check_gaps(ops::Extents extents, int64_t size, const T* flat, const char* what) {
  if (checks_gaps) {
    using Bits = std::conditional_t<std::is_same_v<T, float>, uint32_t, uint64_t>;
    for_gaps(extents, size, [&](parallel::Range gap) {
      for (int64_t i = gap.begin; i < gap.end; ++i) {
        if (std::bit_cast<Bits>(flat[i]) == std::bit_cast<Bits>(gap_pattern<T>())) continue;
        throw std::logic_error(std::string("a gap of the ") + what + " was written, at " +
                               std::to_string(i));
      }
    });
  }
}

}  // namespace gd::nn

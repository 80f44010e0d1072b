#pragma once

#include <cstdint>

namespace gd::kernels {
namespace {

// 28 of 32 registers accumulate, 2 hold B; A is broadcast from memory inside the multiply-add.
// A's block and a panel of B stay in a 1 MB L2. Long chains pay: each block of the depth loads and
// stores C, and packs again (Zen 4, 1024 x 1024 x 1024: 4 % over 512).
template <class T>
struct Blocks {
  static constexpr int rows = 14;
  static constexpr int vectors = 2;
  static constexpr int64_t mc = 56 * 4 / sizeof(T);
  static constexpr int64_t kc = 1024;
  static constexpr int64_t nc = 1024 * 4 / sizeof(T);
};

}  // namespace
}  // namespace gd::kernels

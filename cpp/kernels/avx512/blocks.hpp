#pragma once

#include <cstdint>

namespace gd::kernels {
namespace {

// 28 of 32 registers accumulate, 2 hold B; A is broadcast from memory inside the multiply-add.
// A's block and a panel of B stay in a 1 MB L2; long chains pay for loading and storing C.
template <class T>
struct Blocks {
  static constexpr int rows = 14;
  static constexpr int vectors = 2;
  static constexpr int64_t mc = 168 * 4 / sizeof(T);
  static constexpr int64_t kc = 512;
  static constexpr int64_t nc = 1024 * 4 / sizeof(T);
};

}  // namespace
}  // namespace gd::kernels

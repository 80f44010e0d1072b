#pragma once

#include <cstdint>

namespace gd::kernels {
namespace {

// 28 of 32 registers accumulate, 2 hold B; A is broadcast from memory inside the multiply-add.
template <class T>
struct Blocks {
  static constexpr int rows = 14;
  static constexpr int vectors = 2;
  static constexpr int64_t mc = 168;
  static constexpr int64_t kc = 256;
  static constexpr int64_t nc = 512;
};

}  // namespace
}  // namespace gd::kernels

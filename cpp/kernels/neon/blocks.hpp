#pragma once

#include <cstdint>

namespace gd::kernels {
namespace {

// 24 of 32 registers accumulate, 3 hold B, 1 a broadcast of A.
template <class T>
struct Blocks {
  static constexpr int rows = 6;
  static constexpr int vectors = 4;
  static constexpr int64_t mc = 120 * 4 / sizeof(T);
  static constexpr int64_t kc = 256;
  static constexpr int64_t nc = 768 * 4 / sizeof(T);
};

}  // namespace
}  // namespace gd::kernels

#pragma once

#include <cstdint>

namespace gd::kernels {
namespace {

// 12 of 16 registers accumulate, 2 hold B, 1 a broadcast of A. Long chains pay, as on AVX-512.
template <class T>
struct Blocks {
  static constexpr int rows = 6;
  static constexpr int vectors = 2;
  static constexpr int64_t mc = 48 * 4 / sizeof(T);
  static constexpr int64_t kc = 1024;
  static constexpr int64_t nc = 1024 * 4 / sizeof(T);
};

}  // namespace
}  // namespace gd::kernels

#pragma once

#include <cstdint>

namespace gd::kernels {
namespace {

// 24 of 32 registers accumulate, 3 hold B, 1 a broadcast of A.
template <class T>
struct Blocks {
  static constexpr int rows = 8;
  static constexpr int vectors = 3;
  static constexpr int64_t mc = 128;
  static constexpr int64_t kc = 256;
  static constexpr int64_t nc = 192;
};

}  // namespace
}  // namespace gd::kernels

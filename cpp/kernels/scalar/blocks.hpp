#pragma once

#include <cstdint>

namespace gd::kernels {
namespace {

// Small enough to be read; speed is not what it is for.
template <class T>
struct Blocks {
  static constexpr int rows = 4;
  static constexpr int vectors = 4;
  static constexpr int64_t mc = 64 * 4 / sizeof(T);
  static constexpr int64_t kc = 256;
  static constexpr int64_t nc = 64 * 4 / sizeof(T);
};

}  // namespace
}  // namespace gd::kernels

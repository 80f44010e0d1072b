#pragma once

// What the register tiles tell the compiler and the processor beside their arithmetic.

#include <cstdint>

namespace gd::kernels {
namespace {

constexpr int64_t kLineBytes = 64;
constexpr int kIntoL2 = 2;  // for __builtin_prefetch

// Keeps the compiler from deriving one value from another, or reading two at once.
template <class Value>
inline void keep_apart(Value& value) {
  asm("" : "+r"(value));
}

}  // namespace
}  // namespace gd::kernels

#pragma once

// The instruction sets that multiply bfloat16. Each one's table is AVX-512's with its unit added,
// so that nothing else is compiled twice.

#include "kernels/table.hpp"

namespace gd::kernels {

// Tiles of C that share a packed B are cut to have at most the mc rows of float32, in whole
// register tiles of the unit: so many rows must its own block of A hold.
constexpr int64_t most_shared_rows(int64_t mc, int64_t mr) { return (mc + mr - 1) / mr * mr; }

namespace avx512 {
const KernelTable& table();
}

namespace avx512_bf16 {
const Bf16Kernels& unit();
const KernelTable& table();
}  // namespace avx512_bf16

namespace amx {
const Bf16Kernels& unit();
const KernelTable& table();
}  // namespace amx

}  // namespace gd::kernels

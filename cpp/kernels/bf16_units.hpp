#pragma once

// The instruction sets that multiply bfloat16. Each one's table is AVX-512's with its unit added,
// so that nothing else is compiled twice.

#include "kernels/table.hpp"

namespace gd::kernels {

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

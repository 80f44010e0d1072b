#pragma once

#include <string>
#include <vector>

namespace gd::kernels {

// Whether the processor has it and the operating system saves its registers.
bool has_avx2_fma();
bool has_avx512();  // F, BW, DQ and VL
bool has_avx512_bf16();
// Tiles and their bfloat16 product. The first call asks Linux to let this process use them, which
// makes the frames of its signals larger; a refusal is remembered.
bool has_amx_bf16();

// The features of this machine that matter to kernels, present ones only.
std::vector<std::string> cpu_features();

}  // namespace gd::kernels

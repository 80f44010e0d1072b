#pragma once

#include <string>
#include <vector>

namespace gd::kernels {

// Whether the processor has it and the operating system saves its registers.
bool has_avx2_fma();
bool has_avx512();  // F, BW, DQ and VL

// The features of this machine that matter to kernels, present ones only.
std::vector<std::string> cpu_features();

}  // namespace gd::kernels

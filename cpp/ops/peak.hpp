#pragma once

namespace gd::ops {

// The machine's arithmetic limit in operations a second: `workers` cores doing nothing but fused
// multiply-adds of T in registers, the best of several runs of `seconds` together.
template <class T>
double measure_fma_peak(int workers, double seconds);

// The same of the unit for products of bfloat16; 0 where the machine has none.
double measure_bf16_peak(int workers, double seconds);

}  // namespace gd::ops

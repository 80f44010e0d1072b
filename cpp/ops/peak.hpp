#pragma once

namespace gd::ops {

// The machine's arithmetic limit in operations a second: `workers` cores doing nothing but fused
// multiply-adds of T in registers, the best of several runs of `seconds` together.
template <class T>
double measure_fma_peak(int workers, double seconds);

}  // namespace gd::ops

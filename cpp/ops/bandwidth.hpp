#pragma once

#include <cstdint>

namespace gd::ops {

// The machine's memory limit in bytes a second: `workers` cores doing a[i] = a[i] s + b[i] over two
// float arrays of `bytes` together, the best of several passes of `seconds` together. It reads
// twice and writes once, about as an update rule does; the arrays have to be far larger than the
// caches.
double measure_memory_bandwidth(int workers, int64_t bytes, double seconds);

}  // namespace gd::ops

#pragma once

// A clock that costs a few nanoseconds. Its ticks mean something only against those of the same
// machine; the recorder learns their length from the system's clock at both ends of a recording.

#include <chrono>
#include <cstdint>

namespace gd::profiling {

// Does not wait for instructions before it, so a read may be some nanoseconds early.
inline uint64_t ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();  // constant and common to all cores since about 2008
#elif defined(__aarch64__)
  uint64_t now;
  asm volatile("mrs %0, cntvct_el0" : "=r"(now));
  return now;
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

}  // namespace gd::profiling

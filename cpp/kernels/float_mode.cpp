#include "kernels/float_mode.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gd::kernels {

#if defined(__x86_64__)

namespace {

constexpr unsigned kExceptionsSeen = 0x003F;

// Writing the register takes far longer than reading it, and scopes nest.
void set_mode(unsigned wanted) {
  if (((_mm_getcsr() ^ wanted) & ~kExceptionsSeen) != 0) _mm_setcsr(wanted);
}

}  // namespace

uint64_t enter_float_mode() {
  constexpr unsigned kFlushToZero = 0x8000;
  constexpr unsigned kDenormalsAreZero = 0x0040;
  constexpr unsigned kAllExceptionsMasked = 0x1F80;  // and rounding to nearest: both bits zero
  const unsigned before = _mm_getcsr();
  set_mode(kAllExceptionsMasked | kFlushToZero | kDenormalsAreZero);
  return before;
}

void leave_float_mode(uint64_t state) { set_mode(static_cast<unsigned>(state)); }

#elif defined(__aarch64__)

uint64_t enter_float_mode() {
  constexpr uint64_t kFlushToZero = uint64_t{1} << 24;
  uint64_t before = 0;
  asm volatile("mrs %0, fpcr" : "=r"(before));
  asm volatile("msr fpcr, %0" : : "r"(kFlushToZero));
  return before;
}

void leave_float_mode(uint64_t state) { asm volatile("msr fpcr, %0" : : "r"(state)); }

#else

uint64_t enter_float_mode() { return 0; }
void leave_float_mode(uint64_t) {}

#endif

}  // namespace gd::kernels

/* What the C++ runtime of a newer system takes from its glibc and an older one has not. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>

long syscall(long number, ...);

#define HIDDEN __attribute__((visibility("hidden")))

/* glibc 2.32 tells here that no second thread runs. "Unknown" is always right. */
HIDDEN char __libc_single_threaded = 0;

/* glibc 2.36; std::random_device names it. */
HIDDEN uint32_t arc4random(void) {
  uint32_t bits = 0;
  size_t have = 0;
  while (have < sizeof bits) {
    const ssize_t got = getrandom((char*)&bits + have, sizeof bits - have, 0);
    if (got < 0) abort();
    have += (size_t)got;
  }
  return bits;
}

/* glibc 2.33 and 2.30; before, the first was code that each program held. The kernel's structure
   is the one that glibc has for it on both of our architectures. */
HIDDEN int fstat64(int file, void* status) { return (int)syscall(SYS_fstat, file, status); }
HIDDEN int gettid(void) { return (int)syscall(SYS_gettid); }

#pragma once

#if defined(__linux__)
#include <sched.h>
#endif

namespace gd::base {

// Of the calling thread; -1 where the system does not tell.
inline int current_cpu() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

}  // namespace gd::base

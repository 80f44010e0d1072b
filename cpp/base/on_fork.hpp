#pragma once

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace gd::base {

// What to do around a fork, for good. Of several, what was given last comes first before it.
inline void on_fork(void (*before)(), void (*in_parent)(), void (*in_child)()) {
#if defined(__unix__) || defined(__APPLE__)
  pthread_atfork(before, in_parent, in_child);
#endif
}

}  // namespace gd::base

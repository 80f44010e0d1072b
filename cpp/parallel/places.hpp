#pragma once

#include <optional>

#include "parallel/cpu_set.hpp"

namespace gd::parallel {

// With OMP_PROC_BIND the OpenMP library binds the thread that loads it to its first place (a CPU or
// a core), and whatever that thread starts inherits this: its affinity mask no longer tells what
// the process may use, and a worker of ours would share the caller's core. So where OpenMP binds,
// we follow its places.

// Moves the calling worker of a team to its place, if it can; does nothing where OpenMP does not
// bind.
void move_to_place(int index) noexcept;

#if defined(__linux__)
// The CPUs of all places, or nothing where OpenMP does not bind.
std::optional<CpuSet> cpus_of_places();
#endif

}  // namespace gd::parallel

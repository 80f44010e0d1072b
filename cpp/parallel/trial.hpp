#pragma once

namespace gd::parallel {

// How many of so many more threads the system gives now, found out by starting them. Where it
// refuses one, OpenMP would end the process.
int threads_to_be_had(int wanted) noexcept;

}  // namespace gd::parallel

#pragma once

// How many CPUs this process may really use, and how many threads that makes.

#include <optional>
#include <string>
#include <string_view>

namespace gd::parallel {

// The most threads anyone may ask for. A mistyped number would make OpenMP end the process for want
// of threads.
inline constexpr int kMaxThreads = 1024;

// ValueError naming num_threads unless the count is between 1 and kMaxThreads.
void check_num_threads(int count);

struct Cpus {
  int logical = 1;  // in the affinity mask of the calling thread (or OpenMP's places, if bound)
  int physical_cores = 1;  // that those belong to: siblings share their FMA units, and count once
  std::optional<double> cgroup_quota;  // CPUs' worth of time; unset where nothing limits it

  int quota_threads() const;  // the quota rounded down, at least 1; `logical` without a quota
  int least() const;
};

// The affinity mask is read anew each time (half a microsecond), topology and quota once.
Cpus available_cpus();

struct ThreadCount {
  int count = 1;
  // "argument", "set_num_threads", "OMP_NUM_THREADS", "affinity mask", "cgroup quota",
  // "physical cores" or, where it refused more, "the system".
  std::string source;
};

// The argument, else what set_num_threads said, else OMP_NUM_THREADS (as it was at the first call),
// else the least of affinity mask, cgroup quota and physical cores. The argument
// is checked with check_num_threads.
ThreadCount num_threads(std::optional<int> argument = std::nullopt);

// num_threads() without an argument's say.
ThreadCount default_thread_count();

// What set_num_threads said, 0 where it has not: no more than a read, for every step.
int chosen_num_threads();

// Process-wide, from now on; checked with check_num_threads.
void set_num_threads(int count);
void clear_num_threads();

// A team of `wanted` got `given` threads: fewer are the most that default_thread_count() gives,
// until a team has more or the number is set anew.
void note_threads_given(int wanted, int given);

// The first number of a list such as "4" or "4,2"; nothing where the text is not such a list.
std::optional<int> parse_omp_num_threads(std::string_view text);

}  // namespace gd::parallel

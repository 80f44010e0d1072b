#pragma once

#if defined(__linux__)

#include <sched.h>

#include <optional>

namespace gd::parallel {

// CPU numbers, as the kernel exchanges them. Room for 8192: it refuses a mask smaller than its own.
class CpuSet {
 public:
  static constexpr int kCpus = 8 * CPU_SETSIZE;

  // The affinity mask of the calling thread.
  static std::optional<CpuSet> of_this_thread() {
    CpuSet set;
    if (sched_getaffinity(0, sizeof set.sets_, set.sets_) != 0) return std::nullopt;
    return set;
  }

  bool bind_this_thread() const { return sched_setaffinity(0, sizeof sets_, sets_) == 0; }

  bool has(int cpu) const { return CPU_ISSET_S(cpu, sizeof sets_, sets_); }
  void add(int cpu) { CPU_SET_S(cpu, sizeof sets_, sets_); }
  void remove(int cpu) { CPU_CLR_S(cpu, sizeof sets_, sets_); }
  int count() const { return CPU_COUNT_S(sizeof sets_, sets_); }

 private:
  cpu_set_t sets_[kCpus / CPU_SETSIZE] = {};
};

}  // namespace gd::parallel

#endif

#include "parallel/cpus.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/check.hpp"
#include "parallel/cpu_set.hpp"
#include "parallel/places.hpp"
#include "parallel/system_files.hpp"

#if defined(__linux__)
#include <unistd.h>
#endif

namespace gd::parallel {
namespace {

std::atomic<int> chosen_threads{0};          // 0: set_num_threads was not called
std::atomic<int> most_threads{kMaxThreads};  // that the system gave where it refused more

#if defined(__linux__)

std::optional<CpuSet> usable_cpus() {
  static const std::optional<CpuSet> places = cpus_of_places();
  return places ? places : CpuSet::of_this_thread();
}

int count_cores(const CpuSet& cpus) {
  static const std::vector<int> core_of = [] {
    const long configured = sysconf(_SC_NPROCESSORS_CONF);
    return core_of_cpu(static_cast<int>(std::clamp(configured, 1L, long{CpuSet::kCpus})),
                       SystemFiles{});
  }();
  static const bool siblings = [] {
    for (int cpu = 0; cpu < static_cast<int>(core_of.size()); ++cpu) {
      if (core_of[cpu] != cpu) return true;
    }
    return false;
  }();
  if (!siblings) return std::max(cpus.count(), 1);
  CpuSet cores;
  for (int cpu = 0; cpu < static_cast<int>(core_of.size()); ++cpu) {
    if (cpus.has(cpu)) cores.add(core_of[cpu]);
  }
  return std::max(cores.count(), 1);
}

#endif

// No static of the function: a forked child could wait for ever for who was about to compute it.
std::optional<int> omp_num_threads() {
  constexpr int kNotRead = -1, kNone = 0;
  static std::atomic<int> known{kNotRead};
  int threads = known.load(std::memory_order_relaxed);
  if (threads == kNotRead) {
    const char* text = std::getenv("OMP_NUM_THREADS");
    threads = text == nullptr ? kNone : parse_omp_num_threads(text).value_or(kNone);
    known.store(threads, std::memory_order_relaxed);
  }
  return threads == kNone ? std::nullopt : std::optional(threads);
}

ThreadCount wanted_thread_count() {
  if (const int chosen = chosen_threads.load(std::memory_order_relaxed)) {
    return {chosen, "set_num_threads"};
  }
  if (const auto threads = omp_num_threads()) return {*threads, "OMP_NUM_THREADS"};
  const Cpus cpus = available_cpus();
  const int least = std::min(cpus.least(), kMaxThreads);
  if (cpus.logical <= least) return {least, "affinity mask"};
  if (cpus.quota_threads() <= least) return {least, "cgroup quota"};
  return {least, "physical cores"};
}

}  // namespace

void check_num_threads(int count) {
  base::require<base::ValueError>(count >= 1 && count <= kMaxThreads,
                                  "num_threads must be between 1 and ", kMaxThreads, ", got ",
                                  count);
}

int Cpus::quota_threads() const {
  return cgroup_quota && *cgroup_quota < logical ? std::max(1, static_cast<int>(*cgroup_quota))
                                                 : logical;
}

int Cpus::least() const { return std::min({logical, quota_threads(), physical_cores}); }

Cpus available_cpus() {
  Cpus cpus;
#if defined(__linux__)
  static const std::optional<double> quota = cgroup_quota(SystemFiles{});
  cpus.cgroup_quota = quota;
  if (const auto set = usable_cpus()) {
    cpus.logical = set->count();
    cpus.physical_cores = count_cores(*set);
    return cpus;
  }
#endif
  cpus.logical = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  cpus.physical_cores = cpus.logical;
  return cpus;
}

ThreadCount num_threads(std::optional<int> argument) {
  if (argument) {
    check_num_threads(*argument);
    return {*argument, "argument"};
  }
  return default_thread_count();
}

ThreadCount default_thread_count() {
  const ThreadCount wanted = wanted_thread_count();
  const int most = most_threads.load(std::memory_order_relaxed);
  return most < wanted.count ? ThreadCount{most, "the system"} : wanted;
}

int chosen_num_threads() { return chosen_threads.load(std::memory_order_relaxed); }

void set_num_threads(int count) {
  check_num_threads(count);
  clear_num_threads();
  chosen_threads.store(count, std::memory_order_relaxed);
}

void clear_num_threads() {
  chosen_threads.store(0, std::memory_order_relaxed);
  most_threads.store(kMaxThreads, std::memory_order_relaxed);
}

void note_threads_given(int wanted, int given) {
  if (given < wanted) {
    most_threads.store(given, std::memory_order_relaxed);
  } else if (given > most_threads.load(std::memory_order_relaxed)) {
    most_threads.store(kMaxThreads, std::memory_order_relaxed);
  }
}

std::optional<int> parse_omp_num_threads(std::string_view text) {
  constexpr std::string_view kBlank = " \t";
  const auto begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return std::nullopt;
  text.remove_prefix(begin);
  int count = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || count < 1) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  const auto after = text.find_first_not_of(kBlank);
  if (after != text.npos && text[after] != ',') return std::nullopt;
  return std::min(count, kMaxThreads);
}

}  // namespace gd::parallel

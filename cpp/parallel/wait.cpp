#include "parallel/wait.hpp"

#include <algorithm>
#include <chrono>

#include "parallel/cpu_set.hpp"

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#endif

namespace gd::parallel {
namespace {

// Nanoseconds.
constexpr double kLeast = 1e3;
constexpr double kMostBetweenRuns = 50e3;
constexpr double kMostWithinRun = 40e3;

// One pause takes from 5 to 50 ns, depending on the microarchitecture, so it is measured; the
// best of a few tries, since a try may be interrupted.
double pause_nanoseconds() {
  using Clock = std::chrono::steady_clock;
  constexpr int kPauses = 100;
  double fastest = 1e9;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const auto start = Clock::now();
    for (int i = 0; i < kPauses; ++i) pause();
    const std::chrono::duration<double, std::nano> taken = Clock::now() - start;
    fastest = std::min(fastest, taken.count() / kPauses);
  }
  return std::clamp(fastest, 1.0, 200.0);
}

Patience patience(double most) {
  static const double pause = pause_nanoseconds();
  return {static_cast<int>(kLeast / pause), static_cast<int>(most / pause)};
}

}  // namespace

Patience patience_between_runs() { return patience(kMostBetweenRuns); }
Patience patience_within_run() { return patience(kMostWithinRun); }

#if defined(__linux__)

void leave_core() {
  const auto allowed = CpuSet::of_this_thread();
  if (!allowed || allowed->count() < 2) return;
  CpuSet others = *allowed;
  others.remove(base::current_cpu());
  if (others.bind_this_thread()) allowed->bind_this_thread();
}

static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free);

uint32_t WaitWord::sleep(uint32_t seen) {
  sleepers_.fetch_add(1);
  if (value_.load() == seen) {
    syscall(SYS_futex, &value_, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
  }
  sleepers_.fetch_sub(1);
  return load();
}

void WaitWord::wake_sleepers() {
  syscall(SYS_futex, &value_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

#else

void leave_core() {}  // macOS lets no thread choose

uint32_t WaitWord::sleep(uint32_t seen) {
  sleepers_.fetch_add(1);
  value_.wait(seen);
  sleepers_.fetch_sub(1);
  return load();
}

void WaitWord::wake_sleepers() { value_.notify_all(); }

#endif

}  // namespace gd::parallel

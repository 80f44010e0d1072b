// Counts every heap allocation of the process, on all threads and whoever makes it (OpenMP too),
// while teams are at work. For glibc; sanitizers have a heap of their own.

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "cpp/parallel/sanitizers.hpp"
#include "cpp/testing.hpp"
#include "parallel/cpus.hpp"
#include "parallel/team.hpp"
#include "profiling/recorder.hpp"

#if defined(__GLIBC__) && !defined(GD_ADDRESS_SANITIZER) && !defined(GD_THREAD_SANITIZER)

using gd::parallel::acquire_team;
using gd::parallel::TeamLease;
using gd::parallel::TileQueue;
using gd::parallel::Worker;

namespace {
std::atomic<int64_t> allocations{0};
std::atomic<bool> hired_threads_get_none{false};
std::atomic<bool> hired_threads_get_no_lane{false};
thread_local bool is_caller = false;

bool refused(std::size_t size) {
  ++allocations;
  if (is_caller) return false;
  return hired_threads_get_none.load(std::memory_order_relaxed) ||
         (hired_threads_get_no_lane.load(std::memory_order_relaxed) &&
          size == sizeof(gd::profiling::Lane));
}
}  // namespace

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) { return refused(size) ? nullptr : __libc_malloc(size); }
void* calloc(std::size_t count, std::size_t size) {
  return refused(count * size) ? nullptr : __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  return refused(size) ? nullptr : __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return refused(size) ? nullptr : __libc_memalign(alignment, size);
}
}

TEST(allocations_are_counted) {
  const int64_t before = allocations.load();
  void* (*volatile allocate)(std::size_t) = std::malloc;  // not to be optimized away
  std::free(allocate(16));
  CHECK_EQ(allocations.load(), before + 1);
}

TEST(nothing_is_allocated_once_a_team_exists) {
  TileQueue queue(3);
  std::atomic<int64_t> sum{0};
  const auto step = [&](int workers) {
    TeamLease team = acquire_team(workers);
    queue.reset();
    team->run([&](Worker& worker) {
      queue.for_each(worker, 20, [&](int64_t tile) { sum += tile; });
      worker.barrier();
    });
  };
  for (const int workers : {1, 2, 3}) step(workers);
  static_cast<void>(gd::parallel::num_threads());
  const int64_t before = allocations.load();
  for (int i = 0; i < 300; ++i) {
    step(1 + i % 3);
    static_cast<void>(gd::parallel::num_threads());
  }
  CHECK_EQ(allocations.load(), before);
  CHECK_EQ(sum.load(), 303 * 190);
}

// A hired thread that cannot begin to record is left out, and told; the process goes on.
TEST(a_hired_thread_without_memory_is_not_recorded) {
  is_caller = true;
  auto& recorder = gd::profiling::Recorder::instance();
  for (const int workers : {2, 5}) {
    std::atomic<int> calls{0};
    TeamLease team = acquire_team(workers);
    TeamLease fresh = acquire_team(workers);  // whose threads have never recorded
    recorder.start({1024, 1, false});
    hired_threads_get_no_lane = true;
    for (int round = 0; round < 3; ++round) {
      const gd::profiling::Region region(gd::profiling::RegionKind::step,
                                         gd::profiling::Zone::kCaller);
      fresh->run([&](Worker& worker) {
        worker.barrier();
        ++calls;
      });
    }
    hired_threads_get_no_lane = false;
    const auto recording = recorder.stop();
    CHECK_EQ(calls.load(), 3 * workers);
    CHECK_EQ(recording.lanes.size(), 1u);
    CHECK_EQ(recording.threads_left_out, 3 * (workers - 1));
  }
}

// What a body throws for want of memory on a hired thread reaches the caller.
TEST(a_hired_thread_without_memory_tells_the_caller) {
  is_caller = true;
  TeamLease team = acquire_team(3);
  hired_threads_get_none = true;
  CHECK_THROWS(std::bad_alloc, team->run([&](Worker& worker) {
    if (worker.index() > 0) static_cast<void>(std::vector<double>(1000));
    worker.barrier();
  }));
  hired_threads_get_none = false;
  std::atomic<int> calls{0};
  team->run([&](Worker&) { ++calls; });
  CHECK_EQ(calls.load(), 3);
}

#endif

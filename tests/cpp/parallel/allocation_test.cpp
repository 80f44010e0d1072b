// Counts every heap allocation of the process, on all threads and whoever makes it (OpenMP too),
// while teams are at work. For glibc; sanitizers have a heap of their own.

#include <atomic>
#include <cstdlib>

#include "cpp/parallel/sanitizers.hpp"
#include "cpp/testing.hpp"
#include "parallel/cpus.hpp"
#include "parallel/team.hpp"

#if defined(__GLIBC__) && !defined(GD_ADDRESS_SANITIZER) && !defined(GD_THREAD_SANITIZER)

using gd::parallel::acquire_team;
using gd::parallel::TeamLease;
using gd::parallel::TileQueue;
using gd::parallel::Worker;

namespace {
std::atomic<int64_t> allocations{0};
}

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
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

#endif

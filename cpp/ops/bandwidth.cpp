#include "ops/bandwidth.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>

#include "ops/collective.hpp"
#include "parallel/partition.hpp"

namespace gd::ops {

namespace {

struct Free {
  void operator()(float* memory) const { std::free(memory); }
};
using Array = std::unique_ptr<float[], Free>;

// Untouched memory in large pages where the system has them, as NumPy asks for its large arrays:
// with small ones it is the address translation that is measured.
Array large_array(int64_t size) {
  constexpr size_t kPage = size_t{1} << 21;
  const size_t bytes = (static_cast<size_t>(size) * sizeof(float) + kPage - 1) / kPage * kPage;
  Array array(static_cast<float*>(std::aligned_alloc(kPage, bytes)));
  if (array == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  madvise(array.get(), bytes, MADV_HUGEPAGE);  // advice: a refusal changes nothing but the speed
#endif
  return array;
}

// The compiler's vectors do: a core waits for memory most of the time, whatever their width.
void pass(float* __restrict a, const float* __restrict b, float s, int64_t size) {
  for (int64_t i = 0; i < size; ++i) a[i] = a[i] * s + b[i];
}

}  // namespace

double measure_memory_bandwidth(int workers, int64_t bytes, double seconds) {
  using Clock = std::chrono::steady_clock;
  const int64_t size = std::max<int64_t>(1, bytes / 2 / static_cast<int64_t>(sizeof(float)));
  const Array a = large_array(size);
  const Array b = large_array(size);
  const parallel::TeamLease team = parallel::acquire_team(workers);
  const auto part = [&](const Worker& worker) {
    return parallel::split(size, worker.count(), worker.index(), 1024);
  };
  // Each worker touches its part first, so that it lies in the memory next to it. From any start
  // the sums go to 1, far from denormals.
  run_collective(*team, [&](Worker& worker) {
    const parallel::Range range = part(worker);
    std::fill(a.get() + range.begin, a.get() + range.end, 1.0F);
    std::fill(b.get() + range.begin, b.get() + range.end, 0.5F);
  });
  double best = 0;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    const auto start = Clock::now();
    run_collective(*team, [&](Worker& worker) {
      const parallel::Range range = part(worker);
      pass(a.get() + range.begin, b.get() + range.begin, 0.5F, range.size());
    });
    const std::chrono::duration<double> took = Clock::now() - start;
    best = std::max(best, 3.0 * sizeof(float) * static_cast<double>(size) / took.count());
  } while (Clock::now() < end);
  return best;
}

}  // namespace gd::ops

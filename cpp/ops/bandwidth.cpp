#include "ops/bandwidth.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>

#include "base/memory.hpp"
#include "ops/collective.hpp"
#include "parallel/partition.hpp"

namespace gd::ops {

namespace {

constexpr int64_t kUnit = 64;              // elements that one worker has at the least
constexpr int64_t kLeastBytes = 16 << 20;  // that a measurement moves, roughly

struct Free {
  void operator()(float* memory) const { base::deallocate_untouched(memory); }
};
using Array = std::unique_ptr<float[], Free>;

// In large pages where the system has them, whatever the size: with small ones it is the address
// translation that is measured.
Array large_array(int64_t size) {
  constexpr size_t kPage = size_t{1} << 21;
  const size_t bytes = std::max(static_cast<size_t>(size) * sizeof(float), kPage);
  Array array(static_cast<float*>(base::allocate_untouched(bytes)));
  if (array == nullptr) throw std::bad_alloc();
  return array;
}

}  // namespace

double measure_memory_bandwidth(int workers, int64_t bytes, double seconds) {
  using Clock = std::chrono::steady_clock;
  const int64_t size = std::max<int64_t>(1, bytes / 2 / static_cast<int64_t>(sizeof(float)));
  const Array a = large_array(size);
  const Array b = large_array(size);
  const parallel::TeamLease team = parallel::acquire_team(workers);
  const auto part = [&](const Worker& worker) {
    return parallel::split(size, worker.count(), worker.index(), kUnit);
  };
  // Each worker touches its part first, so that it lies in the memory next to it.
  run_collective(*team, [&](Worker& worker) {
    const parallel::Range range = part(worker);
    std::fill(a.get() + range.begin, a.get() + range.end, 1.0F);
    std::fill(b.get() + range.begin, b.get() + range.end, 0.0F);
  });
  const auto add = kernels::kernels().f32.reduce.add_parts;
  // Of what lies in a cache several passes at a time: waking the workers takes microseconds.
  const int64_t passes = std::max<int64_t>(1, kLeastBytes / std::max<int64_t>(bytes, 1024));
  double best = 0;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    const auto start = Clock::now();
    run_collective(*team, [&](Worker& worker) {
      const parallel::Range range = part(worker);
      float* const sum = a.get() + range.begin;
      for (int64_t i = 0; i < passes; ++i) {
        add(range.size(), sum, b.get() + range.begin, 0, 1, sum);
      }
    });
    const std::chrono::duration<double> took = Clock::now() - start;
    const double moved = 3.0 * sizeof(float) * static_cast<double>(size * passes);
    best = std::max(best, moved / took.count());
  } while (Clock::now() < end);
  return best;
}

}  // namespace gd::ops

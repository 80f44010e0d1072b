#include "ops/peak.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "ops/collective.hpp"

namespace gd::ops {

namespace {

// The most operations a second of `workers` that each call work(), which returns how many it did.
template <class Work>
double most_a_second(int workers, double seconds, Work&& work) {
  using Clock = std::chrono::steady_clock;
  const parallel::TeamLease team = parallel::acquire_team(workers);
  double best = 0;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    int64_t operations = 0;  // of worker 0; all do the same
    const auto start = Clock::now();
    run_collective(*team, [&](Worker& worker) {
      const int64_t done = work();
      if (worker.index() == 0) operations = done * worker.count();
    });
    const std::chrono::duration<double> took = Clock::now() - start;
    best = std::max(best, static_cast<double>(operations) / took.count());
  } while (Clock::now() < end);
  return best;
}

}  // namespace

template <class T>
double measure_fma_peak(int workers, double seconds) {
  constexpr int64_t kRounds = 1 << 17;  // about a millisecond
  return most_a_second(workers, seconds, [] {
    T sink{};
    return kernels::kernels().of<T>().fma_peak(kRounds, &sink);
  });
}

double measure_bf16_peak(int workers, double seconds) {
  constexpr int64_t kRounds = 1 << 15;
  const kernels::Bf16Kernels* const unit = kernels::kernels().bf16;
  if (unit == nullptr) return 0;
  return most_a_second(workers, seconds, [unit] {
    float sink = 0;
    const bool entered = unit->enter();
    const int64_t done = unit->peak(kRounds, &sink);
    unit->leave(entered);
    return done;
  });
}

template double measure_fma_peak<float>(int, double);
template double measure_fma_peak<double>(int, double);

}  // namespace gd::ops

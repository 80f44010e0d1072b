#include "ops/peak.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "ops/collective.hpp"

namespace gd::ops {

template <class T>
double measure_fma_peak(int workers, double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kRounds = 1 << 17;  // about a millisecond
  const auto& typed = kernels::kernels().of<T>();
  const parallel::TeamLease team = parallel::acquire_team(workers);
  double best = 0;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    int64_t operations = 0;  // of worker 0; all do the same
    const auto start = Clock::now();
    run_collective(*team, [&](Worker& worker) {
      T sink{};
      const int64_t done = typed.fma_peak(kRounds, &sink);
      if (worker.index() == 0) operations = done * worker.count();
    });
    const std::chrono::duration<double> took = Clock::now() - start;
    best = std::max(best, static_cast<double>(operations) / took.count());
  } while (Clock::now() < end);
  return best;
}

double measure_bf16_peak(int workers, double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kRounds = 1 << 15;
  const kernels::Bf16Kernels* const unit = kernels::kernels().bf16;
  if (unit == nullptr) return 0;
  const parallel::TeamLease team = parallel::acquire_team(workers);
  double best = 0;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    int64_t operations = 0;  // of worker 0; all do the same
    const auto start = Clock::now();
    run_collective(*team, [&](Worker& worker) {
      float sink = 0;
      const bool entered = unit->enter();
      const int64_t done = unit->peak(kRounds, &sink);
      unit->leave(entered);
      if (worker.index() == 0) operations = done * worker.count();
    });
    const std::chrono::duration<double> took = Clock::now() - start;
    best = std::max(best, static_cast<double>(operations) / took.count());
  } while (Clock::now() < end);
  return best;
}

template double measure_fma_peak<float>(int, double);
template double measure_fma_peak<double>(int, double);

}  // namespace gd::ops

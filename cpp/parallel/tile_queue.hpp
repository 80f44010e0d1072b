#pragma once

// Shares tiles among the workers of a team.

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "base/check.hpp"
#include "parallel/partition.hpp"
#include "parallel/worker.hpp"

namespace gd::parallel {

// A worker first takes the tiles of its own contiguous range, the same from step to step, so that
// they stay in its cache; then it helps the others with what they have not begun. Which worker
// does a tile must never reach the result.
//
// Between two uses of one queue all workers must have left the first, and one thread calls
// reset(). Where a barrier stands between two operations anyway, let them use two queues: after
// the barrier worker 0 resets the one that was just used.
class TileQueue {
 public:
  explicit TileQueue(int max_workers)
      : max_workers_(max_workers), counters_(std::make_unique<Counter[]>(max_workers)) {}

  void reset() {
    for (int i = 0; i < max_workers_; ++i) counters_[i].taken.store(0, std::memory_order_relaxed);
  }

  // Calls f(tile) once for each tile of [0, tiles), over all workers that call this together. For
  // recordings f may return how much work the tile was; then `work` is that of all tiles.
  template <class F>
  void for_each(Worker& worker, int64_t tiles, F&& f, int64_t work = 0) {
    constexpr bool kWeighs = !std::is_void_v<std::invoke_result_t<F, int64_t>>;
    const int count = worker.count();
    if (count == 1) {
      for (int64_t tile = 0; tile < tiles; ++tile) f(tile);
      return;
    }
    base::require<base::StateError>(count <= max_workers_, "a tile queue for ", max_workers_,
                                    " workers is used by ", count);
    int64_t done = 0;
    bool first = false;
    for (int step = 0, owner = worker.index(); step < count; ++step) {
      const Range range = split(tiles, count, owner);
      std::atomic<int64_t>& taken = counters_[owner].taken;
      // Looking first keeps the line shared when there is nothing left to take.
      while (taken.load(std::memory_order_relaxed) < range.size()) {
        const int64_t tile = range.begin + taken.fetch_add(1, std::memory_order_relaxed);
        if (tile >= range.end) break;
        if constexpr (kWeighs) {
          done += f(tile);
        } else {
          f(tile);
          ++done;
        }
        first |= tile == 0;
      }
      owner = owner + 1 == count ? 0 : owner + 1;
    }
    if (worker.lane() != nullptr) worker.lane()->did_tiles(done, kWeighs ? work : tiles, first);
  }

 private:
  struct alignas(kCacheLine) Counter {
    std::atomic<int64_t> taken{0};
  };

  int max_workers_;
  std::unique_ptr<Counter[]> counters_;
};

}  // namespace gd::parallel

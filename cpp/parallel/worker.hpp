#pragma once

#include <cstdint>
#include <memory>

#include "parallel/wait.hpp"
#include "profiling/lane.hpp"

namespace gd::parallel {

// Where all workers of a team meet, again and again. In round r everyone tells the worker 2^r
// places on, and waits for the one 2^r places before: after log2(workers) rounds each has heard of
// all. Two workers so need one line each way, where a common counter would travel four times.
class Barrier {
 public:
  // Thrown out of wait() when another worker failed and will never arrive. Not a std::exception,
  // so that no handler for those takes it for an error of its own.
  struct Broken {};

  explicit Barrier(int workers);

  // So many meet from now on, no more than at first; by one thread, while nobody is inside.
  void set_workers(int workers) noexcept;

  void wait(int index, Patience& patience);

  void break_up();  // lets everyone out who waits, or will
  void mend();      // by one thread, while nobody is inside

 private:
  static constexpr uint32_t kBroken = 1;  // the lowest bit of a word; meetings go in twos
  static constexpr int kMostRounds = 16;

  struct Line {
    alignas(kCacheLine) WaitWord word;
  };
  struct Place {
    Line heard[kMostRounds];  // of how many meetings, in each round
    alignas(kCacheLine) uint32_t met = 0;
  };

  int workers_ = 1;
  int rounds_ = 0;
  std::unique_ptr<Place[]> places_;
};

// What a body that runs on a team knows of itself. A default Worker is alone.
class Worker {
 public:
  Worker() = default;
  explicit Worker(profiling::Lane* lane) : lane_(lane) {}
  Worker(int index, int count, Patience& patience, Barrier& barrier, profiling::Lane* lane)
      : index_(index),
        count_(count),
        slot_(index),
        patience_(&patience),
        barrier_(&barrier),
        lane_(lane) {}

  // The same, for what it does alone while others do something of their own.
  Worker alone() const {
    Worker worker(lane_);
    worker.slot_ = slot_;
    return worker;
  }

  int index() const { return index_; }  // 0 is the thread that called Team::run or offer
  int count() const { return count_; }
  int slot() const { return slot_; }  // whose buffers it may use

  // Returns when every worker has called it; what was written before is then visible to all.
  void barrier() {
    if (count_ == 1) return;
    if (lane_ != nullptr) return recorded_barrier();
    barrier_->wait(index_, *patience_);
  }

  // Where what it does is recorded, or null.
  profiling::Lane* lane() const { return lane_; }

 private:
  void recorded_barrier();

  int index_ = 0;
  int count_ = 1;
  int slot_ = 0;
  Patience* patience_ = nullptr;
  Barrier* barrier_ = nullptr;
  profiling::Lane* lane_ = nullptr;
};

}  // namespace gd::parallel

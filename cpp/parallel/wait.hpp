#pragma once

// How workers wait for each other: a short spin, which costs nothing when the other is about to
// arrive, then sleep in the kernel, which leaves the core to whoever keeps us waiting.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "base/current_cpu.hpp"
#include "profiling/clock.hpp"

namespace gd::parallel {

inline constexpr std::size_t kCacheLine = 64;

// Tells the core that we spin: saves power and lets the sibling hyperthread run.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // `yield` does nothing on most cores
#endif
}

// Moves the calling thread to another core that it may use, if there is one.
//
// Who is woken is often put on the core of the one who woke it, even where another is idle: a
// virtual machine's sleeping core looks taken to the kernel. Two threads that meet every few
// microseconds then take turns for seconds, as neither ever waits long enough to be moved.
void leave_core();

// How long one worker spins before it goes to sleep, learnt from how its waits ended.
//
// Being woken costs some 30 us, so spinning for about as long pays when the other is running and
// merely behind. It is worse than useless when the other does not run, because a busy neighbour or
// another worker has its core. The two cases look alike from here, but one of them rewards
// patience.
class Patience {
 public:
  Patience(int least, int most) : least_(least), most_(most) {}

  int least() const { return least_; }
  int pauses() const { return trust_ > 0 ? most_ : least_; }

  // Tells how a wait ended that used up the least pauses: while spinning, or not.
  void learn(bool rewarded) {
    trust_ = rewarded ? kFullTrust : trust_ - 1;
    if (trust_ < -kProbeEvery) trust_ = 1;  // one long spin, to see whether times have changed
  }

  // When it first went to sleep since stay_awake(), in profiling::ticks(); 0: it did not.
  uint64_t asleep_since() const { return asleep_since_; }
  void stay_awake() { asleep_since_ = 0; }
  void fall_asleep() {
    if (asleep_since_ == 0) asleep_since_ = profiling::ticks();
  }

  // Threads of ours may be moved to another core; the caller's is not ours to move.
  bool may_move() const { return may_move_; }
  void allow_moves() { may_move_ = true; }

 private:
  static constexpr int kFullTrust = 4;
  static constexpr int kProbeEvery = 16;

  int least_;
  int most_;
  int trust_ = kFullTrust;
  bool may_move_ = false;
  uint64_t asleep_since_ = 0;
};

// For the next body: the caller may do some Python first.
Patience patience_between_runs();
// For another worker, who should be as far as we are.
Patience patience_within_run();

// A word that others change and someone waits for. Give it a cache line, alone or with what is
// written together with it.
//
// No wake-up is lost: the waker changes the value, then reads `sleepers_`; the sleeper raises
// `sleepers_`, then reads the value. All four are sequentially consistent, so at least one of the
// two sees the other. When nobody sleeps, waking is one load of a line that is already here.
class WaitWord {
 public:
  uint32_t load() const { return value_.load(std::memory_order_acquire); }
  void set(uint32_t value) { value_.store(value, std::memory_order_relaxed); }

  // These change the value and return the new one; call wake() when it is what waiters wait for.
  uint32_t add(uint32_t amount) {
    cpu_.store(base::current_cpu(), std::memory_order_relaxed);
    return value_.fetch_add(amount) + amount;
  }
  uint32_t set_bits(uint32_t bits) { return value_.fetch_or(bits) | bits; }

  void wake() {
    if (sleepers_.load() != 0) wake_sleepers();
  }

  // Returns the first value for which `done` holds.
  template <class Done>
  uint32_t wait(Patience& patience, Done done) {
    auto spin = [&, spent = 0](int most) mutable {
      uint32_t value = load();
      for (; !done(value) && spent < most; ++spent) {
        pause();
        value = load();
      }
      return value;
    };
    uint32_t value = spin(patience.least());
    if (done(value)) return value;
    if (shares_core()) {
      // Not asleep: who wakes us would pull us along to the core that it has moved to meanwhile.
      if (patience.may_move()) {
        leave_core();
      } else {
        for (int i = 0; i < kYields && !done(load()); ++i) std::this_thread::yield();
      }
    }
    value = spin(patience.pauses());
    patience.learn(done(value));
    if (done(value)) return value;
    patience.fall_asleep();
    value = wait_asleep(done);
    if (patience.may_move() && shares_core()) leave_core();
    return value;
  }

  template <class Done>
  uint32_t wait_asleep(Done done) {
    uint32_t value = load();
    while (!done(value)) value = sleep(value);
    return value;
  }

 private:
  uint32_t sleep(uint32_t seen);  // until the value may have changed
  void wake_sleepers();

  static constexpr int kYields = 100;  // of a microsecond at most, where nobody else wants the core

  // Whether who changed the value last did so on the core that we are on.
  bool shares_core() const { return cpu_.load(std::memory_order_relaxed) == base::current_cpu(); }

  std::atomic<uint32_t> value_{0};
  std::atomic<uint32_t> sleepers_{0};
  std::atomic<int> cpu_{-2};  // of who changed the value last
};

}  // namespace gd::parallel

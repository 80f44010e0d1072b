#pragma once

// How workers wait for each other: a short spin, which costs nothing when the other is about to
// arrive, then sleep in the kernel, which leaves the core to whoever keeps us waiting.

#include <atomic>
#include <cstddef>
#include <cstdint>

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

// How long one worker spins before it goes to sleep, learnt from how its waits ended.
//
// Being woken costs some 30 us, so spinning for about as long pays when the other is running and
// merely behind. It is worse than useless when the other does not run: a busy neighbour has its
// core, or, after a sleep, the system has put both of us on one core. The two cases look alike from
// here, but one of them rewards patience.
class Patience {
 public:
  Patience(int least, int most) : least_(least), most_(most) {}

  int pauses() const { return trust_ > 0 ? most_ : least_; }

  // Tells how a wait ended that used up the least pauses: while spinning, or not.
  void learn(bool rewarded) {
    trust_ = rewarded ? kFullTrust : trust_ - 1;
    if (trust_ < -kProbeEvery) trust_ = 1;  // one long spin, to see whether times have changed
  }

  int least() const { return least_; }

 private:
  static constexpr int kFullTrust = 4;
  static constexpr int kProbeEvery = 16;

  int least_;
  int most_;
  int trust_ = kFullTrust;
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
  uint32_t add(uint32_t amount) { return value_.fetch_add(amount) + amount; }
  uint32_t set_bits(uint32_t bits) { return value_.fetch_or(bits) | bits; }

  void wake() {
    if (sleepers_.load() != 0) wake_sleepers();
  }

  // Returns the first value for which `done` holds.
  template <class Done>
  uint32_t wait(Patience& patience, Done done) {
    uint32_t value = load();
    const int most = patience.pauses();
    int spent = 0;
    for (; !done(value) && spent < most; ++spent) {
      pause();
      value = load();
    }
    if (spent >= patience.least()) patience.learn(done(value));
    return done(value) ? value : wait_asleep(done);
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

  std::atomic<uint32_t> value_{0};
  std::atomic<uint32_t> sleepers_{0};
};

}  // namespace gd::parallel

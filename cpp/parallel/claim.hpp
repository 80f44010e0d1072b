#pragma once

#include <atomic>
#include <cstdint>

#include "parallel/fork_safe_mutex.hpp"

namespace gd::parallel {

// What one thread at a time may have, and nobody waits for. In a forked child only the thread that
// forked still has what it had.
class Claim {
 public:
  // False where somebody has it, the calling thread included.
  bool take() {
    const uint64_t mine = uint64_t{forks()} << kThreadBits | this_thread();
    uint64_t holder = holder_.load();
    do {
      const bool stayed_in_parent =
          holder >> kThreadBits != forks() && (holder & kThreads) != this_thread();
      if (holder != 0 && !stayed_in_parent) return false;
    } while (!holder_.compare_exchange_weak(holder, mine));
    return true;
  }
  void give_back() { holder_.store(0); }

 private:
  static constexpr int kThreadBits = 40;
  static constexpr uint64_t kThreads = (uint64_t{1} << kThreadBits) - 1;

  // The system gives its own numbers again.
  static uint64_t this_thread() {
    static std::atomic<uint64_t> threads{0};
    thread_local const uint64_t number = threads.fetch_add(1) + 1;
    return number & kThreads;
  }

  std::atomic<uint64_t> holder_{0};  // which thread, and after how many forks; 0: nobody
};

}  // namespace gd::parallel

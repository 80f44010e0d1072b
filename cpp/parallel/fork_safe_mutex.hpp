#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

namespace gd::parallel {

// How many forks lie between this process and the first that asked.
unsigned forks();

// A mutex that a forked child finds open, even if another thread of the parent held it: that thread
// does not exist in the child and would never let go. Recursive, for a thread that looks at a model
// while it holds it.
class ForkSafeMutex {
 public:
  ForkSafeMutex() : slot_(new Slot(forks())) {}
  ~ForkSafeMutex() { delete slot_.load(); }
  ForkSafeMutex(const ForkSafeMutex&) = delete;
  ForkSafeMutex& operator=(const ForkSafeMutex&) = delete;

  void lock() {
    Slot& slot = current();
    if (slot.mutex.try_lock()) return;
    slot.waiting.fetch_add(1);
    slot.mutex.lock();
    slot.waiting.fetch_sub(1);
  }
  void unlock() { current().mutex.unlock(); }

  // Between an unlock and the next lock of a thread that comes again and again: lets those go first
  // who wait, which a plain mutex does not.
  void give_way() {
    constexpr int patience = 1000;  // about a millisecond; a waiter may have been put to sleep
    for (int i = 0; i < patience && current().waiting.load() > 0; ++i) std::this_thread::yield();
  }

 private:
  struct Slot {
    explicit Slot(unsigned of) : forks(of) {}
    const unsigned forks;
    std::recursive_mutex mutex;
    std::atomic<int> waiting{0};
  };

  Slot& current() {
    Slot* slot = slot_.load();
    if (slot->forks == forks()) return *slot;
    auto fresh = std::make_unique<Slot>(forks());
    // The parent's slot is left alone: destroying a locked mutex is not allowed.
    if (slot_.compare_exchange_strong(slot, fresh.get())) slot = fresh.release();
    return *slot;
  }

  std::atomic<Slot*> slot_;
};

}  // namespace gd::parallel

#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

namespace gd::parallel {

// How many forks lie between this process and the first that asked.
unsigned forks();

// Guards what a forked child goes on with. A fork waits until nobody holds one, so that the child
// finds what it guards whole, and finds it open. Recursive, for a thread that looks at a model
// while it holds it. Who holds one must not wait for who forks, so not for Python's lock; unless it
// is Reading.
class ForkSafeMutex {
  struct Slot {
    explicit Slot(unsigned of) : forks(of) {}
    const unsigned forks;
    std::recursive_mutex mutex;
    int depth = 0;  // that its holder has locked it
    std::atomic<int> waiting{0};
    std::atomic<int> reading{0};
  };

 public:
  ForkSafeMutex();
  ~ForkSafeMutex();
  ForkSafeMutex(const ForkSafeMutex&) = delete;
  ForkSafeMutex& operator=(const ForkSafeMutex&) = delete;

  void lock() {
    for (Slot& slot = current();; wait_for_fork()) {
      if (!slot.mutex.try_lock()) {
        slot.waiting.fetch_add(1);
        slot.mutex.lock();
        slot.waiting.fetch_sub(1);
      }
      if (slot.depth++ > 0 || forks_awaited_.load() == 0) return;
      --slot.depth;
      slot.mutex.unlock();
    }
  }
  void unlock() {
    Slot& slot = current();
    --slot.depth;
    slot.mutex.unlock();
  }

  // Between an unlock and the next lock of a thread that comes again and again: lets those go first
  // who wait, which a plain mutex does not.
  void give_way() {
    constexpr int patience = 1000;  // about a millisecond; a waiter may have been put to sleep
    for (int i = 0; i < patience && current().waiting.load() > 0; ++i) std::this_thread::yield();
  }

  // For as long as it lives, who holds the mutex changes nothing that it guards: a fork does not
  // wait for it.
  class Reading {
   public:
    explicit Reading(ForkSafeMutex& mutex) : slot_(mutex.current()) { slot_.reading.fetch_add(1); }
    ~Reading() { slot_.reading.fetch_sub(1); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    Slot& slot_;
  };

 private:
  friend class AllForkSafe;

  Slot& current() {
    Slot* slot = slot_.load();
    return slot->forks == forks() ? *slot : fresh(slot);
  }
  Slot& fresh(Slot* old);

  static void wait_for_fork();
  static std::atomic<int> forks_awaited_;

  std::atomic<Slot*> slot_;
  // In the list of all, which has a mutex of its own.
  ForkSafeMutex* previous_ = nullptr;
  ForkSafeMutex* next_ = nullptr;
  bool held_for_fork_ = false;
};

}  // namespace gd::parallel

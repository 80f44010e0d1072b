#include "parallel/fork_safe_mutex.hpp"

#include <chrono>

#include "base/on_fork.hpp"
#include "parallel/pool.hpp"
#include "profiling/recorder.hpp"

namespace gd::parallel {

std::atomic<int> ForkSafeMutex::forks_awaited_{0};

namespace {

void sleep_a_little() { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

}  // namespace

// Every mutex there is, and what becomes of them around a fork.
class AllForkSafe {
 public:
  static AllForkSafe& instance() {
    static AllForkSafe& all = *new AllForkSafe;  // never destroyed: threads may outlive main
    return all;
  }

  void add(ForkSafeMutex& mutex) {
    const std::lock_guard lock(mutex_);
    mutex.next_ = first_;
    if (first_ != nullptr) first_->previous_ = &mutex;
    first_ = &mutex;
  }

  void remove(ForkSafeMutex& mutex) {
    const std::lock_guard lock(mutex_);
    (mutex.previous_ != nullptr ? mutex.previous_->next_ : first_) = mutex.next_;
    if (mutex.next_ != nullptr) mutex.next_->previous_ = mutex.previous_;
  }

 private:
  // Who holds a mutex of ours may need those of the others, so a fork has to take ours first: what
  // is registered last comes first.
  AllForkSafe() {
    profiling::Recorder::instance();
    static_cast<void>(profiling::named_operations());
    TeamPool::instance();
    base::on_fork(before_fork, after_fork_in_parent, after_fork_in_child);
  }

  static void before_fork() {
    ForkSafeMutex::forks_awaited_.fetch_add(1);
    AllForkSafe& all = instance();
    all.mutex_.lock();
    for (ForkSafeMutex* each = all.first_; each != nullptr; each = each->next_) {
      auto& slot = each->current();
      while (!(each->held_for_fork_ = slot.mutex.try_lock()) && slot.reading.load() == 0) {
        sleep_a_little();
      }
    }
  }

  static void after_fork_in_parent() {
    AllForkSafe& all = instance();
    for (ForkSafeMutex* each = all.first_; each != nullptr; each = each->next_) {
      if (each->held_for_fork_) each->current().mutex.unlock();
    }
    all.mutex_.unlock();
    ForkSafeMutex::forks_awaited_.fetch_sub(1);
  }

  // Each mutex gets a new slot when it is next used.
  static void after_fork_in_child() {
    instance().mutex_.unlock();
    ForkSafeMutex::forks_awaited_.store(0);
  }

  std::mutex mutex_;
  ForkSafeMutex* first_ = nullptr;
};

ForkSafeMutex::ForkSafeMutex() : slot_(new Slot(forks())) { AllForkSafe::instance().add(*this); }

ForkSafeMutex::~ForkSafeMutex() {
  AllForkSafe::instance().remove(*this);
  delete slot_.load();
}

ForkSafeMutex::Slot& ForkSafeMutex::fresh(Slot* old) {
  auto made = std::make_unique<Slot>(forks());
  // The parent's slot is left alone: destroying a locked mutex is not allowed.
  if (slot_.compare_exchange_strong(old, made.get())) old = made.release();
  return *old;
}

void ForkSafeMutex::wait_for_fork() {
  while (forks_awaited_.load() != 0) sleep_a_little();
}

}  // namespace gd::parallel

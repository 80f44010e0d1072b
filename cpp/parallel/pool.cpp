#include "parallel/pool.hpp"

#include <chrono>

#include "base/on_fork.hpp"
#include "parallel/cpus.hpp"
#include "parallel/crew.hpp"
#include "parallel/fork_safe_mutex.hpp"

namespace gd::parallel {
namespace {

int64_t nanoseconds_now() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

TeamPool& TeamPool::instance() {
  static TeamPool& pool = *new TeamPool;  // never destroyed: threads may outlive main
  return pool;
}

unsigned forks() {
  TeamPool::instance();  // which counts them from now on
  return TeamPool::forks();
}

TeamPool::TeamPool() { base::on_fork(before_fork, after_fork_in_parent, after_fork_in_child); }

bool TeamPool::refused_lately() const {
  constexpr int64_t kPause = 100'000'000;
  const int64_t refused = refused_.load(std::memory_order_relaxed);
  return refused != 0 && nanoseconds_now() - refused < kPause;
}

Team& TeamPool::take(int workers) {
  if (workers == 1) return alone_;
  {
    const std::lock_guard lock(mutex_);
    for (Team** link = &idle_; *link != nullptr; link = &(*link)->next_idle_) {
      Team* team = *link;
      if (team->wanted_ != workers) continue;
      *link = team->next_idle_;
      --idle_count_;
      return *team;
    }
  }
  if (refused_lately()) return alone_;
  auto team = std::make_unique<Team>(workers);
  refused_.store(team->size() == 1 ? nanoseconds_now() : 0, std::memory_order_relaxed);
  return *team.release();
}

void TeamPool::give_back(Team& team) {
  if (&team == &alone_) return;
  std::unique_ptr<Team> surplus;  // ends after the lock is released
  const std::lock_guard lock(mutex_);
  const bool dead = team.forks_ != forks() || team.size_ == 1;  // of the parent, or never started
  if (dead) {
    surplus.reset(&team);
    return;
  }
  team.next_idle_ = idle_;
  idle_ = &team;
  if (++idle_count_ <= kMostIdle) return;
  Team** last = &idle_;
  while ((*last)->next_idle_ != nullptr) last = &(*last)->next_idle_;
  surplus.reset(*last);
  *last = nullptr;
  --idle_count_;
}

void TeamPool::before_fork() {
  // A child could wait for ever for a thread of the parent that was about to compute these.
  Crew::compute_once();
  static_cast<void>(available_cpus());
  instance().mutex_.lock();
}

void TeamPool::after_fork_in_parent() { instance().mutex_.unlock(); }

// Threads do not survive a fork. The parent's teams are left where they are, unused.
void TeamPool::after_fork_in_child() {
  forks_.fetch_add(1, std::memory_order_relaxed);
  instance().idle_ = nullptr;
  instance().idle_count_ = 0;
  instance().refused_ = 0;
  instance().mutex_.unlock();
}

}  // namespace gd::parallel

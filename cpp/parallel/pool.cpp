#include "parallel/pool.hpp"

#include "parallel/fork_safe_mutex.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace gd::parallel {

TeamPool& TeamPool::instance() {
  static TeamPool& pool = *new TeamPool;  // never destroyed: threads may outlive main
  return pool;
}

unsigned forks() {
  TeamPool::instance();  // which counts them from now on
  return TeamPool::forks();
}

TeamPool::TeamPool() { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

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
  return *new Team(workers);
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

void TeamPool::before_fork() { instance().mutex_.lock(); }

void TeamPool::after_fork_in_parent() { instance().mutex_.unlock(); }

// Threads do not survive a fork. The parent's teams are left where they are, unused.
void TeamPool::after_fork_in_child() {
  forks_.fetch_add(1, std::memory_order_relaxed);
  instance().idle_ = nullptr;
  instance().idle_count_ = 0;
  instance().mutex_.unlock();
}

}  // namespace gd::parallel

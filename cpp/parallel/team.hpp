#pragma once

// Threads that are already awake. A team is leased from a process-wide pool, runs bodies on all its
// workers at once, and goes back to the pool with its threads for the next user.

#include <memory>
#include <utility>

#include "base/function_ref.hpp"
#include "parallel/tile_queue.hpp"
#include "parallel/worker.hpp"

namespace gd::parallel {

class Crew;

class Team {
 public:
  Team() = default;            // the caller alone
  explicit Team(int workers);  // hires threads
  ~Team();                     // lets them go
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

  // Whether the next run can begin with everybody; else it is better made by another team, or by
  // the caller alone. Waits up to so many nanoseconds for a worker that has let others have its
  // core.
  bool all_here(int64_t patience);

  // Calls f once on every worker, the caller being worker 0, and returns when all are done. What
  // the first failing worker threw is rethrown; others leave at their next barrier. Exclusive: one
  // thread at a time, and not from within f. Allocates nothing.
  void run(base::FunctionRef<void(Worker&)> f);

  // The same on the caller and on those who come before it is done: nobody waits for a worker that
  // has not begun. So f shares its work by queues alone, and workers do not meet within it. For two
  // workers; larger teams run it.
  void offer(base::FunctionRef<void(Worker&)> f);

 private:
  friend class TeamPool;

  void hire(int workers);
  template <class Order>
  void order(base::FunctionRef<void(Worker&)> f, Order order);

  int size_ = 1;
  int wanted_ = 1;      // may be more than OpenMP gave; the pool's key
  unsigned forks_ = 0;  // the process that hired the crew; in a forked child it does not exist
  bool running_ = false;
  std::shared_ptr<Crew> crew_;
  Team* next_idle_ = nullptr;  // the pool's list
};

// Exclusive use of a team; gives it back at the end.
class TeamLease {
 public:
  TeamLease() = default;
  explicit TeamLease(Team& team) : team_(&team) {}
  TeamLease(TeamLease&& other) noexcept : team_(std::exchange(other.team_, nullptr)) {}
  TeamLease& operator=(TeamLease&& other) noexcept {
    std::swap(team_, other.team_);
    return *this;
  }
  ~TeamLease();

  Team& operator*() const { return *team_; }
  Team* operator->() const { return team_; }

 private:
  Team* team_ = nullptr;
};

// A team of that size that nobody else uses. One worker costs nothing: no lock, no thread. The team
// is smaller (see size()) where the system does not give as many threads. The number is checked
// with check_num_threads.
TeamLease acquire_team(int workers);

}  // namespace gd::parallel

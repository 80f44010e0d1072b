#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "parallel/team.hpp"

namespace gd::parallel {

// The idle teams of the process, the most recently used first: its threads are the likeliest to be
// still awake and its caches warm.
class TeamPool {
 public:
  static TeamPool& instance();

  // How many forks lie between this process and the first one: what threads belong to.
  static unsigned forks() { return forks_.load(std::memory_order_relaxed); }

  Team& take(int workers);
  void give_back(Team& team);

 private:
  static constexpr int kMostIdle = 8;

  TeamPool();
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();

  // After the system has refused any thread, others are asked for no more than every so often.
  bool refused_lately() const;

  inline static std::atomic<unsigned> forks_{0};

  Team alone_;  // for one worker: without state, so everyone may use it at once
  std::mutex mutex_;
  Team* idle_ = nullptr;
  int idle_count_ = 0;
  std::atomic<int64_t> refused_{0};  // nanoseconds, when; 0: never
};

}  // namespace gd::parallel

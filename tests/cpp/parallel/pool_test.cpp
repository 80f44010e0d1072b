#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/check.hpp"
#include "cpp/parallel/sanitizers.hpp"
#include "cpp/testing.hpp"
#include "parallel/team.hpp"

using gd::parallel::acquire_team;
using gd::parallel::Team;
using gd::parallel::TeamLease;
using gd::parallel::Worker;

namespace {

int sum_of_indices(Team& team) {
  std::atomic<int> sum{0};
  team.run([&](Worker& worker) {
    worker.barrier();
    sum += worker.index();
    worker.barrier();
  });
  return sum;
}

int threads_of_this_process() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    count += entry.exists() ? 1 : 0;
  }
  return count;
}

}  // namespace

TEST(pool_gives_an_idle_team_again) {
  Team* first = nullptr;
  {
    TeamLease lease = acquire_team(2);
    first = &*lease;
    TeamLease other = acquire_team(2);
    CHECK(&*other != first);
  }
  TeamLease again = acquire_team(2);
  CHECK(&*again == first);
  TeamLease moved = std::move(again);
  CHECK(&*moved == first);
}

TEST(pool_refuses_senseless_sizes) {
  CHECK_THROWS(gd::base::ValueError, acquire_team(0));
  CHECK_THROWS(gd::base::ValueError, acquire_team(-3));
  CHECK_THROWS(gd::base::ValueError, acquire_team(1'000'000));
}

TEST(pool_serves_many_threads_at_once) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      TeamLease lease = acquire_team(2);
      for (int i = 0; i < 1000; ++i) {
        wrong += sum_of_indices(*lease) == 1 ? 0 : 1;
        if (i % 100 == 0) wrong += sum_of_indices(*acquire_team(3)) == 3 ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST(pool_lets_surplus_threads_go) {
  // Teams of two have no thread but our own; libomp keeps those that it started for later.
  const int before = threads_of_this_process();
  {
    std::vector<TeamLease> many;
    for (int i = 0; i < 30; ++i) many.push_back(acquire_team(2));
    for (TeamLease& team : many) CHECK_EQ(sum_of_indices(*team), 1);
    CHECK(threads_of_this_process() >= 30);
  }
  while (threads_of_this_process() > before + 8) {  // for ever, where they do not go
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

#if !defined(GD_THREAD_SANITIZER)  // which starts no thread in a forked child

namespace {

// Runs `body` in a forked child; true when it returned true.
template <class Body>
bool in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    bool ok = false;
    try {
      ok = body();
    } catch (...) {
    }
    _exit(ok ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST(forked_child_runs_a_team_of_its_own) {
  CHECK_EQ(sum_of_indices(*acquire_team(2)), 1);
  CHECK_EQ(sum_of_indices(*acquire_team(4)), 6);
  for (int round = 0; round < 5; ++round) {
    CHECK(in_child([] {
      return sum_of_indices(*acquire_team(2)) == 1 && sum_of_indices(*acquire_team(4)) == 6;
    }));
  }
  CHECK_EQ(sum_of_indices(*acquire_team(4)), 6);
}

TEST(forked_child_goes_on_with_a_lease_of_the_parent) {
  TeamLease lease = acquire_team(3);
  CHECK_EQ(sum_of_indices(*lease), 3);
  CHECK(in_child([&] {
    const bool ran = sum_of_indices(*lease) == 3 && sum_of_indices(*lease) == 3;
    lease = TeamLease();
    return ran && in_child([] { return sum_of_indices(*acquire_team(3)) == 3; });
  }));
  CHECK_EQ(sum_of_indices(*lease), 3);
}

TEST(forked_child_starts_while_other_threads_use_the_pool) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) sum_of_indices(*acquire_team(2));
  });
  for (int round = 0; round < 20; ++round) {
    CHECK(in_child([] { return sum_of_indices(*acquire_team(2)) == 1; }));
  }
  stop = true;
  busy.join();
}

#endif

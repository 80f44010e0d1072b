#include "parallel/team.hpp"

#include <pthread.h>
#include <signal.h>

#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/check.hpp"
#include "cpp/testing.hpp"
#include "parallel/tile_queue.hpp"

using gd::parallel::acquire_team;
using gd::parallel::TeamLease;
using gd::parallel::Worker;

TEST(team_runs_once_on_every_worker) {
  for (const int workers : {1, 2, 3, 5, 8}) {
    TeamLease team = acquire_team(workers);
    CHECK_EQ(team->size(), workers);
    std::vector<std::atomic<int>> calls(workers);
    team->run([&](Worker& worker) {
      CHECK_EQ(worker.count(), workers);
      ++calls[worker.index()];
    });
    for (const auto& count : calls) CHECK_EQ(count.load(), 1);
  }
}

TEST(team_caller_is_worker_0) {
  TeamLease team = acquire_team(3);
  const pthread_t caller = pthread_self();
  team->run([&](Worker& worker) {
    const bool same = pthread_equal(pthread_self(), caller) != 0;
    CHECK_EQ(same, worker.index() == 0);
  });
}

TEST(team_runs_ten_thousand_times) {
  TeamLease team = acquire_team(2);
  int64_t counts[2] = {0, 0};  // plain: run() must order them
  for (int i = 0; i < 10'000; ++i) {
    team->run([&](Worker& worker) { ++counts[worker.index()]; });
  }
  CHECK_EQ(counts[0], 10'000);
  CHECK_EQ(counts[1], 10'000);
}

// Longer than a worker keeps its core: it gives way between runs, misses none and comes back.
TEST(a_worker_that_gives_way_comes_back) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kForLong = int64_t{1} << 60;
  for (const int workers : {1, 2, 3}) {
    TeamLease team = acquire_team(workers);
    std::atomic<int> calls{0};
    int runs = 0;
    for (const auto end = Clock::now() + std::chrono::milliseconds(30); Clock::now() < end;
         ++runs) {
      if (runs % 2 == 0) CHECK(team->all_here(kForLong));
      team->run([&](Worker&) { ++calls; });
    }
    CHECK_EQ(calls.load(), workers * runs);
    CHECK(team->all_here(kForLong));
    CHECK(team->all_here(0));
  }
}

TEST(an_offer_is_done_by_whoever_comes_in_time) {
  using Clock = std::chrono::steady_clock;
  constexpr int64_t kTiles = 50;
  for (const int workers : {1, 2, 3}) {
    TeamLease team = acquire_team(workers);
    gd::parallel::TileQueue queue(workers);
    std::vector<int64_t> done(kTiles, 0);  // plain: offers must order them
    std::atomic<int> others{0};
    int64_t runs = 0;
    const auto offer = [&] {
      queue.reset();
      bool caller_came = false;
      team->offer([&](Worker& worker) {
        CHECK_EQ(worker.count(), workers);
        if (worker.index() == 0) {
          caller_came = true;
        } else {
          ++others;
        }
        queue.for_each(worker, kTiles, [&](int64_t tile) { ++done[static_cast<size_t>(tile)]; });
      });
      CHECK(caller_came);
      ++runs;
    };
    // Longer than a worker keeps its core, and until somebody has come; in between all are called.
    const auto begin = Clock::now();
    const auto passed = [&](auto time) { return Clock::now() - begin > time; };
    while (!passed(std::chrono::milliseconds(20)) || (workers > 1 && others == 0)) {
      offer();
      if (runs % 3 != 0) continue;
      std::atomic<int> called{0};
      team->run([&](Worker&) { ++called; });
      CHECK_EQ(called.load(), workers);
    }
    for (const int64_t count : done) CHECK_EQ(count, runs);
    CHECK(others <= (workers - 1) * runs);
    if (workers == 3) CHECK_EQ(others.load(), 2 * runs);
  }
}

TEST(what_a_taker_of_an_offer_throws_reaches_the_caller) {
  TeamLease team = acquire_team(2);
  for (int thrower = 0; thrower < 2; ++thrower) {
    std::string caught;
    while (caught.empty()) {
      try {
        team->offer([&](Worker& worker) {
          if (worker.index() == thrower)
            throw std::runtime_error("from " + std::to_string(thrower));
        });
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
    }
    CHECK_EQ(caught, "from " + std::to_string(thrower));
    std::atomic<int> called{0};
    team->run([&](Worker&) { ++called; });
    CHECK_EQ(called.load(), 2);
  }
}

TEST(barrier_orders_phases) {
  for (const int workers : {2, 3, 5}) {
    TeamLease team = acquire_team(workers);
    std::vector<int> cells(workers, 0);  // plain: barriers must order them
    std::atomic<int> wrong{0};
    constexpr int kPhases = 500;
    team->run([&](Worker& worker) {
      for (int phase = 1; phase <= kPhases; ++phase) {
        cells[worker.index()] = phase;
        worker.barrier();
        for (const int cell : cells) wrong += cell == phase ? 0 : 1;
        worker.barrier();
      }
    });
    CHECK_EQ(wrong.load(), 0);
  }
}

TEST(barrier_of_a_worker_alone_returns) {
  Worker alone;
  alone.barrier();
  CHECK_EQ(alone.index(), 0);
  CHECK_EQ(alone.count(), 1);
}

TEST(exception_of_any_worker_reaches_the_caller) {
  for (const int workers : {1, 2, 4}) {
    TeamLease team = acquire_team(workers);
    for (int thrower = 0; thrower < workers; ++thrower) {
      std::string caught;
      try {
        team->run([&](Worker& worker) {
          if (worker.index() == thrower) throw std::runtime_error(std::to_string(thrower));
        });
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
      CHECK_EQ(caught, std::to_string(thrower));
    }
  }
}

TEST(exception_before_a_barrier_frees_those_who_wait) {
  TeamLease team = acquire_team(4);
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> passed{0};
    CHECK_THROWS(std::out_of_range, team->run([&](Worker& worker) {
      for (int phase = 0; phase < 5; ++phase) {
        if (worker.index() == round % 4 && phase == round % 5) throw std::out_of_range("phase");
        worker.barrier();
        if (phase == round % 5) ++passed;
      }
    }));
    CHECK_EQ(passed.load(), 0);
    // The team is whole again.
    std::atomic<int> met{0};
    team->run([&](Worker& worker) {
      worker.barrier();
      ++met;
      worker.barrier();
    });
    CHECK_EQ(met.load(), 4);
  }
}

TEST(exceptions_of_all_workers_give_one) {
  TeamLease team = acquire_team(3);
  for (int round = 0; round < 100; ++round) {
    CHECK_THROWS(std::runtime_error,
                 team->run([](Worker&) { throw std::runtime_error("everyone"); }));
  }
}

TEST(team_refuses_to_run_within_itself) {
  TeamLease team = acquire_team(2);
  CHECK_THROWS(gd::base::StateError, team->run([&](Worker& worker) {
    if (worker.index() == 0) team->run([](Worker&) {});
  }));
  team->run([](Worker&) {});
}

TEST(teams_may_be_nested) {
  TeamLease outer = acquire_team(2);
  std::atomic<int> calls{0};
  outer->run([&](Worker&) {
    TeamLease inner = acquire_team(3);
    inner->run([&](Worker& worker) {
      worker.barrier();
      ++calls;
    });
  });
  CHECK_EQ(calls.load(), 6);
}

#if defined(__linux__)
// A worker that was woken on the core of its waker moves away, and may go where it might before.
TEST(workers_that_move_keep_their_mask) {
  TeamLease team = acquire_team(2);
  cpu_set_t masks[2];
  const auto ask = [&](Worker& worker) {
    if (worker.index() != 1) return;
    CHECK_EQ(sched_getaffinity(0, sizeof masks[0], &masks[0]), 0);
    gd::parallel::leave_core();
    CHECK_EQ(sched_getaffinity(0, sizeof masks[1], &masks[1]), 0);
    CHECK(CPU_EQUAL(&masks[0], &masks[1]));
  };
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // until it sleeps
    team->run(ask);
  }
}

TEST(a_thread_bound_to_one_core_stays) {
  std::thread([] {
    const int before = sched_getcpu();
    cpu_set_t mask;
    CHECK_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(before, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    gd::parallel::leave_core();
    CHECK_EQ(sched_getcpu(), before);
  }).join();
}
#endif

TEST(workers_have_names_and_leave_signals_alone) {
  TeamLease team = acquire_team(3);
  std::string names[3];
  bool interrupt_blocked[3];
  bool fault_blocked[3];
  team->run([&](Worker& worker) {
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    names[worker.index()] = name;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    interrupt_blocked[worker.index()] = sigismember(&mask, SIGINT) == 1;
    fault_blocked[worker.index()] = sigismember(&mask, SIGSEGV) == 1;
  });
  CHECK(!interrupt_blocked[0]);
  for (int i = 1; i < 3; ++i) {
    CHECK_EQ(names[i], "gdcore-" + std::to_string(i));
    CHECK(interrupt_blocked[i]);
    CHECK(!fault_blocked[i]);
  }
}

#include "parallel/tile_queue.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "base/check.hpp"
#include "cpp/testing.hpp"
#include "parallel/team.hpp"

using gd::parallel::acquire_team;
using gd::parallel::TeamLease;
using gd::parallel::TileQueue;
using gd::parallel::Worker;

TEST(tiles_are_done_once_each) {
  for (const int workers : {1, 2, 3, 5}) {
    TeamLease team = acquire_team(workers);
    TileQueue queue(5);
    for (const int64_t tiles : {0, 1, 2, 3, 7, 64, 1000}) {
      std::vector<std::atomic<int>> done(tiles);
      queue.reset();
      team->run(
          [&](Worker& worker) { queue.for_each(worker, tiles, [&](int64_t t) { ++done[t]; }); });
      for (const auto& count : done) CHECK_EQ(count.load(), 1);
    }
  }
}

TEST(tiles_alternate_between_two_queues) {
  constexpr int kOperations = 400;
  constexpr int64_t kTiles = 13;
  TeamLease team = acquire_team(3);
  TileQueue queues[2] = {TileQueue(3), TileQueue(3)};
  std::vector<std::atomic<int>> done(kTiles);
  team->run([&](Worker& worker) {
    for (int operation = 0; operation < kOperations; ++operation) {
      queues[operation % 2].for_each(worker, kTiles, [&](int64_t t) { ++done[t]; });
      worker.barrier();
      if (worker.index() == 0) queues[operation % 2].reset();
    }
  });
  for (const auto& count : done) CHECK_EQ(count.load(), kOperations);
}

TEST(tiles_of_a_late_worker_are_done_by_the_others) {
  TeamLease team = acquire_team(2);
  TileQueue queue(2);
  std::atomic<int> done{0};
  team->run([&](Worker& worker) {
    while (worker.index() == 1 && done < 100) std::this_thread::yield();
    queue.for_each(worker, 100, [&](int64_t) { ++done; });
  });
  CHECK_EQ(done.load(), 100);
}

TEST(tiles_of_the_own_range_come_first_and_in_order) {
  Worker alone;
  TileQueue queue(1);
  std::vector<int64_t> order;
  queue.for_each(alone, 4, [&](int64_t t) { order.push_back(t); });
  CHECK((order == std::vector<int64_t>{0, 1, 2, 3}));

  TeamLease team = acquire_team(2);
  TileQueue shared(2);
  int64_t first[2] = {-1, -1};
  team->run([&](Worker& worker) {
    shared.for_each(worker, 10, [&](int64_t t) {
      if (first[worker.index()] < 0) {
        first[worker.index()] = t;
        worker.barrier();  // both have one before either takes a second
      }
    });
  });
  CHECK_EQ(first[0], 0);
  CHECK_EQ(first[1], 5);
}

TEST(tiles_queue_too_small_for_its_team_is_an_error) {
  TeamLease team = acquire_team(3);
  TileQueue queue(2);
  CHECK_THROWS(gd::base::StateError,
               team->run([&](Worker& worker) { queue.for_each(worker, 1, [](int64_t) {}); }));
}

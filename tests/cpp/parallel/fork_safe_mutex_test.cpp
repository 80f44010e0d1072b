#include "parallel/fork_safe_mutex.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "cpp/testing.hpp"
#include "parallel/claim.hpp"
#include "parallel/trial.hpp"

using gd::parallel::Claim;
using gd::parallel::ForkSafeMutex;
using Lock = std::lock_guard<ForkSafeMutex>;

namespace {

// Whether `body` returns true in a forked child.
template <class Body>
bool in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST(a_forked_child_finds_all_that_is_guarded_whole) {
  constexpr int kPairs = 3;
  struct Pair {
    ForkSafeMutex mutex;
    volatile int64_t first = 0;
    volatile int64_t second = 0;
  };
  std::vector<std::unique_ptr<Pair>> pairs;
  std::vector<std::thread> threads;
  std::atomic<bool> go_on{true};
  for (int i = 0; i < kPairs; ++i) {
    Pair& pair = *pairs.emplace_back(std::make_unique<Pair>());
    threads.emplace_back([&] {
      while (go_on) {
        const Lock lock(pair.mutex);
        const Lock again(pair.mutex);  // as one who looks while it holds it
        pair.first = pair.first + 1;
        std::this_thread::yield();
        pair.second = pair.second + 1;
      }
    });
  }
  for (int round = 0; round < 100; ++round) {
    CHECK(in_child([&] {
      for (const auto& pair : pairs) {
        const Lock lock(pair->mutex);
        if (pair->first != pair->second) return false;
      }
      ForkSafeMutex own;
      const Lock lock(own);
      return true;
    }));
  }
  go_on = false;
  for (std::thread& thread : threads) thread.join();
}

TEST(a_fork_waits_for_nobody_who_reads) {
  ForkSafeMutex mutex;
  std::atomic<int> stage{0};
  std::thread reader([&] {
    const Lock lock(mutex);
    const ForkSafeMutex::Reading reading(mutex);
    stage = 1;
    while (stage == 1) std::this_thread::yield();  // as one who waits for who forks
  });
  while (stage == 0) std::this_thread::yield();
  CHECK(in_child([&] {
    const Lock lock(mutex);
    return true;
  }));
  stage = 2;
  reader.join();
  const Lock lock(mutex);
}

TEST(a_claim_is_had_by_one) {
  Claim claim;
  CHECK(claim.take());
  CHECK(!claim.take());
  bool taken = true;
  std::thread([&] { taken = claim.take(); }).join();
  CHECK(!taken);
  CHECK(in_child([&] { return !claim.take(); }));  // the child's thread still has it
  claim.give_back();
  CHECK(claim.take());
  claim.give_back();
}

TEST(a_claim_of_a_thread_that_stayed_behind_is_open) {
  Claim claim;
  std::atomic<int> stage{0};
  std::thread holder([&] {
    stage = claim.take() ? 1 : -1;
    while (stage == 1) std::this_thread::yield();
    claim.give_back();
  });
  while (stage == 0) std::this_thread::yield();
  CHECK(!claim.take());
  CHECK(in_child([&] { return claim.take() && !claim.take(); }));
  CHECK(!claim.take());
  stage = 2;
  holder.join();
  CHECK(claim.take());
}

TEST(threads_are_tried) {
  CHECK_EQ(gd::parallel::threads_to_be_had(0), 0);
  CHECK_EQ(gd::parallel::threads_to_be_had(-1), 0);
  for (int round = 0; round < 20; ++round) CHECK_EQ(gd::parallel::threads_to_be_had(5), 5);
}

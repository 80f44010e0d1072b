// OpenMP reads its environment when it is loaded, so each case here starts this program again.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "cpp/testing.hpp"
#include "parallel/cpus.hpp"
#include "parallel/team.hpp"

#if defined(__linux__)
#include <sched.h>

using gd::parallel::acquire_team;
using gd::parallel::TeamLease;
using gd::parallel::Worker;

namespace {

// True when the test of that name passes in a new process with one more variable.
bool passes_with(const char* variable, const char* value, const char* test) {
  const pid_t child = fork();
  if (child == 0) {
    close(STDOUT_FILENO);  // failures go to stderr
    setenv(variable, value, 1);
    setenv("GD_TEST_CHILD", "1", 1);
    execl("/proc/self/exe", "test", test, static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool is_child() { return std::getenv("GD_TEST_CHILD") != nullptr; }

}  // namespace

TEST(a_smaller_team_than_asked_for_works) {
  if (!is_child()) {
    CHECK(passes_with("OMP_THREAD_LIMIT", "1", "a_smaller_team_than_asked_for_works"));
    CHECK(passes_with("OMP_MAX_ACTIVE_LEVELS", "0", "a_smaller_team_than_asked_for_works"));
    return;
  }
  for (int round = 0; round < 3; ++round) {
    TeamLease team = acquire_team(5);
    CHECK_EQ(team->size(), 2);
    std::atomic<int> calls{0};
    team->run([&](Worker& worker) {
      CHECK_EQ(worker.count(), 2);
      worker.barrier();
      ++calls;
    });
    CHECK_EQ(calls.load(), 2);
  }
}

TEST(workers_follow_the_places_of_openmp) {
  static const int available = gd::parallel::available_cpus().logical;
  if (!is_child()) {
    setenv("GD_TEST_CPUS", std::to_string(available).c_str(), 1);
    CHECK(passes_with("OMP_PROC_BIND", "true", "workers_follow_the_places_of_openmp"));
    return;
  }
  CHECK_EQ(std::to_string(available), std::string(std::getenv("GD_TEST_CPUS")));
  if (available < 2) return;
  cpu_set_t masks[2];
  acquire_team(2)->run(
      [&](Worker& worker) { sched_getaffinity(0, sizeof(cpu_set_t), &masks[worker.index()]); });
  cpu_set_t both;
  CPU_AND(&both, &masks[0], &masks[1]);
  CHECK_EQ(CPU_COUNT(&masks[1]), 1);
  CHECK_EQ(CPU_COUNT(&both), 0);
}

TEST(omp_num_threads_is_the_default) {
  if (!is_child()) {
    CHECK(passes_with("OMP_NUM_THREADS", "7,2", "omp_num_threads_is_the_default"));
    return;
  }
  CHECK_EQ(gd::parallel::num_threads().count, 7);
  CHECK_EQ(gd::parallel::num_threads().source, "OMP_NUM_THREADS");
}

#endif

#include "parallel/cpus.hpp"

#include <thread>

#include "base/check.hpp"
#include "cpp/testing.hpp"
#include "parallel/config.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

using gd::base::ValueError;
using namespace gd::parallel;

TEST(cpus_of_this_machine_are_plausible) {
  const Cpus cpus = available_cpus();
  CHECK(cpus.logical >= 1);
  CHECK(cpus.physical_cores >= 1 && cpus.physical_cores <= cpus.logical);
  CHECK(cpus.least() >= 1 && cpus.least() <= cpus.logical);
}

TEST(cpus_quota_rounds_down_but_not_to_nothing) {
  const auto threads = [](double quota) { return Cpus{8, 8, quota}.quota_threads(); };
  CHECK_EQ(threads(1.5), 1);
  CHECK_EQ(threads(0.25), 1);
  CHECK_EQ(threads(2.0), 2);
  CHECK_EQ(threads(3.99), 3);
  CHECK_EQ(threads(1e12), 8);
  CHECK_EQ((Cpus{8, 8, std::nullopt}.quota_threads()), 8);
  CHECK_EQ((Cpus{8, 4, 6.0}.least()), 4);
  CHECK_EQ((Cpus{8, 4, 3.0}.least()), 3);
}

#if defined(__linux__)
TEST(cpus_follow_a_change_of_affinity) {
  std::thread([] {
    cpu_set_t all;
    CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    int first = 0;
    while (!CPU_ISSET(first, &all)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(available_cpus().logical, 1);
    CHECK_EQ(available_cpus().physical_cores, 1);
  }).join();
}
#endif

TEST(num_threads_prefers_the_argument_then_the_setting) {
  const ThreadCount start = num_threads();
  CHECK_EQ(num_threads(3).count, 3);
  CHECK_EQ(num_threads(3).source, "argument");
  set_num_threads(5);
  CHECK_EQ(num_threads().count, 5);
  CHECK_EQ(num_threads().source, "set_num_threads");
  CHECK_EQ(num_threads(2).count, 2);
  clear_num_threads();
  CHECK_EQ(num_threads().count, start.count);
  CHECK_EQ(num_threads().source, start.source);
}

TEST(num_threads_must_make_sense) {
  for (const int senseless : {0, -1, kMaxThreads + 1}) {
    CHECK_THROWS(ValueError, set_num_threads(senseless));
    CHECK_THROWS(ValueError, num_threads(senseless));
  }
  std::string what;
  try {
    set_num_threads(0);
  } catch (const ValueError& error) {
    what = error.what();
  }
  CHECK(what.find("num_threads") != what.npos && what.find("got 0") != what.npos);
}

TEST(omp_num_threads_gives_its_first_number) {
  CHECK_EQ(parse_omp_num_threads("4").value_or(0), 4);
  CHECK_EQ(parse_omp_num_threads("4,2").value_or(0), 4);
  CHECK_EQ(parse_omp_num_threads(" 8 , 2").value_or(0), 8);
  CHECK_EQ(parse_omp_num_threads("100000").value_or(0), kMaxThreads);
  for (const char* text : {"", " ", "0", "-2", "four", "4x", "4;2", ",4", "99999999999999999999"}) {
    CHECK(!parse_omp_num_threads(text));
  }
}

TEST(openmp_runtime_names_the_library) {
  CHECK(openmp_runtime().find("omp") != std::string::npos);
  CHECK(openmp_runtime().find("OpenMP 20") != std::string::npos);
}

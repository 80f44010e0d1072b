#include "parallel/system_files.hpp"

#include <map>

#include "cpp/testing.hpp"

using namespace gd::parallel;

namespace {

// A machine made of text.
struct Files {
  std::map<std::string, std::string> text;

  std::optional<std::string> operator()(const std::string& path) const {
    const auto found = text.find(path);
    return found == text.end() ? std::nullopt : std::optional(found->second);
  }
};

double quota(const Files& files) { return cgroup_quota(files).value_or(0); }

const char* const kUnifiedMount =
    "22 26 0:20 / /proc rw - proc proc rw\n"
    "31 22 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

}  // namespace

TEST(cpu_max_is_quota_over_period) {
  CHECK_EQ(parse_cpu_max("150000 100000\n").value_or(0), 1.5);
  CHECK_EQ(parse_cpu_max("50000 100000").value_or(0), 0.5);
  for (const char* text : {"max 100000\n", "", "100000", "1 0", "-1 100000", "a b", "1 2 3"}) {
    CHECK(!parse_cpu_max(text));
  }
}

TEST(cfs_quota_of_minus_one_is_none) {
  CHECK_EQ(parse_cfs("400000\n", "100000\n").value_or(0), 4.0);
  CHECK(!parse_cfs("-1\n", "100000\n"));
  CHECK(!parse_cfs("", "100000"));
  CHECK(!parse_cfs("100000", "0"));
}

TEST(quota_v2_is_the_least_of_all_parents) {
  Files files{{{"/proc/self/mountinfo", kUnifiedMount},
               {"/proc/self/cgroup", "0::/user.slice/job.scope/inner\n"},
               {"/sys/fs/cgroup/user.slice/job.scope/inner/cpu.max", "max 100000\n"},
               {"/sys/fs/cgroup/user.slice/job.scope/cpu.max", "300000 100000\n"},
               {"/sys/fs/cgroup/user.slice/cpu.max", "800000 100000\n"}}};
  CHECK_EQ(quota(files), 3.0);
  files.text["/sys/fs/cgroup/user.slice/cpu.max"] = "250000 100000\n";
  CHECK_EQ(quota(files), 2.5);
  files.text["/sys/fs/cgroup/user.slice/job.scope/inner/cpu.max"] = "50000 100000\n";
  CHECK_EQ(quota(files), 0.5);
}

TEST(quota_v2_in_a_container_stands_at_the_mount) {
  // With a cgroup namespace the own path is "/"; without one it is the host's, which does not exist
  // here. The third form names what was mounted.
  for (const char* own : {"0::/\n", "0::/docker/abc\n", "0::/../other\n"}) {
    CHECK_EQ(quota({{{"/proc/self/mountinfo", kUnifiedMount},
                     {"/proc/self/cgroup", own},
                     {"/sys/fs/cgroup/cpu.max", "200000 100000\n"}}}),
             2.0);
  }
  CHECK_EQ(quota({{{"/proc/self/mountinfo",
                    "31 22 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"},
                   {"/proc/self/cgroup", "0::/docker/abc/job\n"},
                   {"/sys/fs/cgroup/job/cpu.max", "100000 100000\n"},
                   {"/sys/fs/cgroup/cpu.max", "200000 100000\n"}}}),
           1.0);
}

TEST(quota_v1_reads_the_cpu_controller) {
  const Files files{{{"/proc/self/mountinfo",
                      "30 22 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                      "31 22 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                      "32 22 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"},
                     {"/proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/a/b\n3:cpuset:/\n0::/\n"},
                     {"/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n"},
                     {"/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n"},
                     {"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "350000\n"},
                     {"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"},
                     {"/sys/fs/cgroup/memory/m/cpu.max", "1 100000\n"}}};
  CHECK_EQ(quota(files), 3.5);
}

TEST(quota_is_unset_where_nothing_tells_one) {
  CHECK(!cgroup_quota(Files{}));
  CHECK(!cgroup_quota(Files{{{"/proc/self/mountinfo", "nonsense\n - \n1 2 3 - cgroup2\n"},
                             {"/proc/self/cgroup", "::\n\nnonsense"}}}));
  CHECK(!cgroup_quota(Files{{{"/proc/self/mountinfo", kUnifiedMount},
                             {"/proc/self/cgroup", "0::/\n"},
                             {"/sys/fs/cgroup/cpu.max", "max 100000\n"}}}));
}

TEST(cpu_lists_are_numbers_and_ranges) {
  CHECK((parse_cpu_list("0\n") == std::vector<int>{0}));
  CHECK((parse_cpu_list("0-2,8\n") == std::vector<int>{0, 1, 2, 8}));
  for (const char* text : {"", "a", "2-1", "1-2-3", "1,,2", "-1", "0-99999999"}) {
    CHECK(parse_cpu_list(text).empty());
  }
}

TEST(cores_join_sibling_threads) {
  const auto siblings = [](int cpu) {
    return "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list";
  };
  const Files files{{{siblings(0), "0,2\n"},
                     {siblings(1), "1,3\n"},
                     {siblings(2), "0,2\n"},
                     {siblings(3), "1,3\n"},
                     {siblings(4), "nonsense"}}};
  CHECK((core_of_cpu(6, files) == std::vector<int>{0, 1, 0, 1, 4, 5}));
}

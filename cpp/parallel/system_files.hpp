#pragma once

// What Linux tells in its files about CPUs. Everything reads through a function, so that tests can
// show it another machine.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.hpp"

namespace gd::parallel {

// The whole text of a file, or nothing where it cannot be read.
using ReadFile = base::FunctionRef<std::optional<std::string>(const std::string& path)>;

// Reads the files of this machine.
struct SystemFiles {
  std::optional<std::string> operator()(const std::string& path) const;
};

// CPUs' worth of time from "max 100000" or "150000 100000" (cgroup v2, cpu.max).
std::optional<double> parse_cpu_max(std::string_view text);

// The same from cpu.cfs_quota_us and cpu.cfs_period_us (cgroup v1; quota -1 is none).
std::optional<double> parse_cfs(std::string_view quota, std::string_view period);

// The least quota of this process's cgroups and all their parents.
std::optional<double> cgroup_quota(ReadFile read);

// "0-2,8" -> 0 1 2 8; empty where the text is malformed.
std::vector<int> parse_cpu_list(std::string_view text);

// For each CPU number below `cpus` the lowest-numbered CPU of its core (itself where unknown).
std::vector<int> core_of_cpu(int cpus, ReadFile read);

}  // namespace gd::parallel

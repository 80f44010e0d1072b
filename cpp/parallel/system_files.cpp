#include "parallel/system_files.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

namespace gd::parallel {
namespace {

constexpr int kMostCpus = 1 << 16;  // beyond any machine; a list that says more is malformed

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::vector<std::string_view> split_text(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ratio(std::string_view quota, std::string_view period) {
  const auto numerator = parse_number<long long>(trimmed(quota));
  const auto denominator = parse_number<long long>(trimmed(period));
  if (!numerator || !denominator || *numerator <= 0 || *denominator <= 0) return std::nullopt;
  return static_cast<double>(*numerator) / static_cast<double>(*denominator);
}

bool contains(const std::vector<std::string_view>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// One mounted cgroup tree that may hold CPU quotas.
struct Hierarchy {
  std::string mount;  // where it is in the file system
  std::string root;   // which cgroup stands there
  bool unified;       // v2
};

// Lines of /proc/self/mountinfo: "36 35 0:31 ROOT MOUNT options... - TYPE source super-options".
std::vector<Hierarchy> hierarchies(std::string_view mountinfo) {
  std::vector<Hierarchy> found;
  for (const std::string_view line : split_text(mountinfo, '\n')) {
    const auto dash = line.find(" - ");
    if (dash == line.npos) continue;
    const auto head = split_text(line.substr(0, dash), ' ');
    const auto tail = split_text(line.substr(dash + 3), ' ');
    if (head.size() < 5 || tail.size() < 3) continue;
    const bool unified = tail[0] == "cgroup2";
    if (unified || (tail[0] == "cgroup" && contains(split_text(tail[2], ','), "cpu"))) {
      found.push_back({std::string(head[4]), std::string(head[3]), unified});
    }
  }
  return found;
}

// The cgroup of this process in a hierarchy, from the lines "ID:controllers:PATH" of
// /proc/self/cgroup; v2 is the one without controllers.
std::string own_cgroup(std::string_view self_cgroup, bool unified) {
  for (const std::string_view line : split_text(self_cgroup, '\n')) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const bool matches =
        unified ? controllers.empty() : contains(split_text(controllers, ','), "cpu");
    if (matches) return std::string(trimmed(line.substr(second + 1)));
  }
  return "/";
}

std::optional<double> quota_of(const std::string& folder, bool unified, ReadFile read) {
  if (unified) {
    const auto text = read(folder + "/cpu.max");
    return text ? parse_cpu_max(*text) : std::nullopt;
  }
  const auto quota = read(folder + "/cpu.cfs_quota_us");
  const auto period = read(folder + "/cpu.cfs_period_us");
  return quota && period ? parse_cfs(*quota, *period) : std::nullopt;
}

}  // namespace

std::optional<std::string> SystemFiles::operator()(const std::string& path) const {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::optional<double> parse_cpu_max(std::string_view text) {
  const auto parts = split_text(trimmed(text), ' ');
  return parts.size() == 2 ? ratio(parts[0], parts[1]) : std::nullopt;  // "max" is no number
}

std::optional<double> parse_cfs(std::string_view quota, std::string_view period) {
  return ratio(quota, period);
}

std::optional<double> cgroup_quota(ReadFile read) {
  const std::string self = read("/proc/self/cgroup").value_or("");
  std::optional<double> least;
  for (const Hierarchy& tree : hierarchies(read("/proc/self/mountinfo").value_or(""))) {
    std::string path = own_cgroup(self, tree.unified);
    // Within a container the mount may begin at the container's own cgroup. Where the names do not
    // fit together, the walk below still ends at the mount, which is the outermost one visible.
    if (tree.root != "/" && path.starts_with(tree.root)) path.erase(0, tree.root.size());
    for (;;) {
      while (path.ends_with('/')) path.pop_back();
      const auto quota = quota_of(tree.mount + path, tree.unified, read);
      if (quota && (!least || *quota < *least)) least = quota;
      if (path.empty()) break;
      path.erase(path.rfind('/') == path.npos ? 0 : path.rfind('/'));
    }
  }
  return least;
}

std::vector<int> parse_cpu_list(std::string_view text) {
  std::vector<int> cpus;
  for (const std::string_view part : split_text(trimmed(text), ',')) {
    const auto ends = split_text(part, '-');
    const auto first = parse_number<int>(ends.front());
    const auto last = parse_number<int>(ends.back());
    if (ends.size() > 2 || !first || !last || *first < 0 || *first > *last || *last > kMostCpus) {
      return {};
    }
    for (int cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

std::vector<int> core_of_cpu(int cpus, ReadFile read) {
  std::vector<int> core;
  for (int cpu = 0; cpu < cpus; ++cpu) {
    const auto text = read("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                           "/topology/thread_siblings_list");
    const auto siblings = parse_cpu_list(text.value_or(""));
    core.push_back(siblings.empty() ? cpu : *std::min_element(siblings.begin(), siblings.end()));
  }
  return core;
}

}  // namespace gd::parallel

#include "profiling/counters.hpp"

#include <cerrno>
#include <cstring>

#if defined(__linux__)
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace gd::profiling {

#if defined(__linux__)

namespace {

int open_counter(const CounterEvent& event, int group) {
  perf_event_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.size = sizeof attributes;
  attributes.type = event.type;
  attributes.config = event.config;
  attributes.exclude_kernel = 1;  // allowed to all users up to perf_event_paranoid = 2
  attributes.exclude_hv = 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return static_cast<int>(
      syscall(SYS_perf_event_open, &attributes, 0, -1, group, PERF_FLAG_FD_CLOEXEC));
}

std::string reason(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return "the kernel does not permit it to this user: lower /proc/sys/kernel/"
             "perf_event_paranoid to 2 or less, or allow perf_event_open in the container";
    case ENOENT:
    case EOPNOTSUPP:
    case ENODEV:
      return "the kernel sees no counters of this processor, as in most virtual machines";
    case ENOSYS:
      return "the kernel has no perf_event_open";
    case EMFILE:
    case ENFILE:
      return "too many files are open";
    default:
      return std::string("perf_event_open failed: ") + std::strerror(error);
  }
}

}  // namespace

bool ThreadCounters::open() {
  return open({{{PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
                {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
                {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES}}});
}

bool ThreadCounters::open(const std::array<CounterEvent, kCounters>& events) {
  close();
  for (size_t i = 0; i < files_.size(); ++i) {
    files_[i] = open_counter(events[i], i == 0 ? -1 : files_[0]);
    if (files_[i] >= 0) continue;
    const int error = errno;
    close();
    error_ = reason(error);
    return false;
  }
  error_.clear();
  return true;
}

void ThreadCounters::close() {
  for (int& file : files_) {
    if (file >= 0) ::close(file);
    file = -1;
  }
}

std::optional<CounterValues> ThreadCounters::read() const {
  CounterValues values{};
  for (size_t i = 0; i < files_.size(); ++i) {
    uint64_t got[3] = {};  // value, time enabled, time running
    if (files_[i] < 0 || ::read(files_[i], got, sizeof got) != sizeof got) return std::nullopt;
    if (got[2] == 0 && got[1] != 0) return std::nullopt;  // never had its turn
    const double scale =
        got[2] == 0 ? 1 : static_cast<double>(got[1]) / static_cast<double>(got[2]);
    values[i] = static_cast<int64_t>(static_cast<double>(got[0]) * scale);
  }
  return values;
}

#else

bool ThreadCounters::open() {
  error_ = "only Linux has perf_event_open";
  return false;
}
bool ThreadCounters::open(const std::array<CounterEvent, kCounters>&) { return open(); }
void ThreadCounters::close() {}
std::optional<CounterValues> ThreadCounters::read() const { return std::nullopt; }

#endif

}  // namespace gd::profiling

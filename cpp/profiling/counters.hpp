#pragma once

// The processor's own counters of one thread, through perf_event_open where the kernel permits it.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace gd::profiling {

inline constexpr int kCounters = 3;
inline constexpr std::array<const char*, kCounters> kCounterNames = {"cycles", "instructions",
                                                                     "cache_misses"};

// What perf_event_open calls a type of event and its number in it.
struct CounterEvent {
  uint32_t type;
  uint64_t config;
};

using CounterValues = std::array<int64_t, kCounters>;

class ThreadCounters {
 public:
  ThreadCounters() = default;
  ~ThreadCounters() { close(); }
  ThreadCounters(const ThreadCounters&) = delete;
  ThreadCounters& operator=(const ThreadCounters&) = delete;

  // Counts what the calling thread does from now on, outside the kernel. False where that is not
  // to be had; error() tells why.
  bool open();
  bool open(const std::array<CounterEvent, kCounters>& events);
  void close();

  // Since open(); scaled up where the processor took turns among more counters than it has. By any
  // thread.
  std::optional<CounterValues> read() const;

  const std::string& error() const { return error_; }

 private:
  std::array<int, kCounters> files_{-1, -1, -1};
  std::string error_;
};

}  // namespace gd::profiling

#pragma once

// The one recording of the process. While there is none, asking for a lane costs one load and a
// branch, and every hook behind it a test for null.
//
// A thread that calls gdcore opens a Region around what it does; the workers it wakes join within.
// A recording ends when all regions are closed, so nobody writes into what is read.

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "profiling/lane.hpp"

namespace gd::profiling {

struct RecordingOptions {
  int64_t events_per_thread = 1 << 20;  // rounded up to a power of two; then the oldest go
  int64_t every = 1;                    // records every so many steps
  bool counters = true;                 // the processor's, where the kernel permits
};

// What one thread did, in nanoseconds since the recording began.
struct LaneRecording {
  int worker = 0;      // its index in a team; 0 calls
  int64_t thread = 0;  // the system's number of it
  int64_t dropped = 0;
  std::vector<Event> events;
  std::optional<CounterValues> counters;
  std::string counters_error;
};

struct Recording {
  std::vector<LaneRecording> lanes;
  int64_t nanoseconds = 0;                 // it took
  int64_t steps = 0;                       // that were begun, recorded or not
  int64_t bytes_a_thread = 0;              // of memory for events
  int64_t threads_left_out = 0;            // for want of memory
  std::vector<NamedOperation> operations;  // by the numbers that events have, from 1 on
};

enum class RegionKind : uint8_t {
  step,   // of training: counts, and is left out where not every step is recorded
  other,  // belongs to the step before it
};

class Recorder {
 public:
  static Recorder& instance();

  static bool on() { return on_.load(std::memory_order_relaxed); }
  // No recording is at work, and none is being read.
  static bool idle() { return phase_.load() == Phase::idle; }

  // Returns a number of its own, above 0. StateError unless idle, ValueError for options out of
  // their domain.
  uint64_t start(const RecordingOptions& options);
  // StateError where that recording, or any for 0, is not at work. Waits until every thread has
  // left its region.
  Recording stop(uint64_t number = 0);

  // For Region.
  Lane* open(RegionKind kind, Zone gap);
  void close(Lane& lane);
  // The calling thread's lane if it is within a region, else null.
  Lane* current();
  // For a worker that a thread within a region has woken for that step. Time since the worker's
  // last lap was waiting for it, asleep from `asleep_since` on. Null for want of memory.
  Lane* join(int worker, uint32_t step, uint64_t asleep_since);

 private:
  // From start to stop, and from then until all has been read.
  enum class Phase : uint8_t { idle, recording, reading };

  struct Held {  // by a thread as long as it lives
    Lane* lane = nullptr;
    ~Held();
  };

  Recorder();
  Lane* lane_of_this_thread();
  bool enter_session(Lane& lane, int worker);
  void wait_for_regions(std::unique_lock<std::mutex>& lock);
  void leave_session();
  LaneRecording take(Lane& lane, uint64_t now);
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();

  static std::atomic<bool> on_;      // recording; for those who must not wait
  static std::atomic<Phase> phase_;  // changes with the mutex held
  static thread_local Held held_;

  std::mutex mutex_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // of all threads that ever recorded; used again
  RecordingOptions options_;
  std::atomic<uint64_t> session_{0};
  std::atomic<uint32_t> steps_{0};
  std::atomic<int64_t> left_out_{0};
  uint64_t start_ticks_ = 0;
  int64_t start_nanoseconds_ = 0;
};

// The calling thread's lane while it is within a region and a recording is at work, else null.
inline Lane* current_lane() { return Recorder::on() ? Recorder::instance().current() : nullptr; }

// What the calling thread does from here to the end of the scope is recorded. Must not contain
// calls back into Python: a recording that ends waits for it.
class Region {
 public:
  // Time since the thread's last region was `gap`.
  Region(RegionKind kind, Zone gap)
      : lane_(Recorder::on() ? Recorder::instance().open(kind, gap) : nullptr) {}
  ~Region() {
    if (lane_ != nullptr) Recorder::instance().close(*lane_);
  }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // Everything since the last lap was this.
  void lap(Zone zone) {
    if (lane_ != nullptr) lane_->lap(zone_id(zone));
  }
  Lane* lane() const { return lane_; }

 private:
  Lane* lane_;
};

// Everything that the calling thread did since its last region was this.
void mark(Zone zone);

}  // namespace gd::profiling

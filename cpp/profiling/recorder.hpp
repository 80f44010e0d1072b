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
  int64_t every = 1;                    // records every so many steps; 0: see Recorder::adapt()
  bool counters = true;                 // the processor's, where the kernel permits
};

// What a source did, recorded or not.
struct SourceCount {
  SourceId source = kNoSource;
  int64_t steps = 0;      // of training
  int64_t most_rows = 0;  // of a step
  int most_threads = 0;   // that a step might use
};

// Ticks as nanoseconds since the recording began.
struct TimeScale {
  uint64_t start = 0;      // in ticks
  double nanoseconds = 1;  // of a tick
  uint64_t operator()(uint64_t at) const {
    const auto passed = static_cast<double>(static_cast<int64_t>(at - start));
    return passed > 0 ? static_cast<uint64_t>(passed * nanoseconds) : 0;
  }
};

// What one thread did. Events stay in their ring until somebody reads them: copying a million takes
// longer than the end of a recording should.
struct LaneRecording {
  int worker = 0;       // its index in a team; 0 calls
  uint16_t number = 0;  // that teams are known by
  int64_t thread = 0;   // the system's number of it
  int64_t dropped = 0;
  Events ring;
  uint64_t first = 0;  // event that is kept
  uint64_t count = 0;  // of events up to the last
  uint64_t mask = 0;
  TimeScale scale;
  std::vector<Range> ranges;  // in nanoseconds
  int64_t ranges_left_out = 0;
  std::optional<CounterValues> counters;
  std::string counters_error;

  // Each event in order, with nanoseconds since the recording began.
  template <class F>
  void for_each(F&& f) const {
    for (uint64_t i = first; i < count; ++i) {
      Event event = ring[i & mask];
      event.begin = scale(event.begin);
      event.end = std::max(event.begin, scale(event.end));
      f(event);
    }
  }
  std::vector<Event> events() const {
    std::vector<Event> all;
    all.reserve(count - first);
    for_each([&](const Event& event) { all.push_back(event); });
    return all;
  }
};

// What the process had in memory at a time, and what of it was buffers of ours.
struct MemorySample {
  uint64_t at;      // nanoseconds since the recording began
  int64_t process;  // bytes; 0 where the system does not tell
  int64_t own;
};

struct Recording {
  std::vector<LaneRecording> lanes;
  int64_t began = 0;                       // nanoseconds of the system's monotonic clock
  int64_t nanoseconds = 0;                 // it took
  int64_t steps = 0;                       // that were begun, recorded or not
  int64_t every = 1;                       // of so many steps one was recorded, at the end
  int64_t bytes_a_thread = 0;              // of memory for events
  int64_t threads_left_out = 0;            // for want of memory
  std::vector<NamedOperation> operations;  // by the numbers that events have, from 1 on
  std::vector<NamedSource> sources;        // likewise
  std::vector<MemorySample> memory;        // some ten times a second, while there are calls
  std::vector<SourceCount> counts;         // of those that were called, in the order of sources
};

enum class RegionKind : uint8_t {
  step,   // of training: counts, and is left out where not every step is recorded
  other,  // beside it; of training it belongs to the step that follows
};

// What a region is part of.
struct Work {
  SourceId source = kNoSource;
  Purpose purpose = Purpose::training;
  int64_t rows = 0;  // of a step
  int threads = 0;   // that it may use
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
  Lane* open(RegionKind kind, Zone gap, const Work& work, Setting& before);
  void close(Lane& lane, const Setting& before);
  // The calling thread's lane if it is within a region, else null.
  Lane* current();
  // For a worker that a thread within a region has woken: what it did since its last lap was
  // waiting for that. Null for want of memory.
  Lane* join(int worker, const Call& call, const Pause& pause);

  // Outside regions: everything that the calling thread did since its last lap, or from `since` to
  // now, was this; before `since` it was `before`. Not where only some steps are recorded.
  void mark(OperationId operation);
  void mark_since(uint64_t since, Zone before, const NamedOperation& operation);

  // A range of the calling thread's begins; what end_range() takes, 0 where nothing is recorded.
  uint64_t begin_range(const std::string& name);
  void end_range(uint64_t range);

  // For Quiet.
  Lane* hush();

 private:
  friend class Quiet;

  // From start to stop, and from then until all has been read.
  enum class Phase : uint8_t { idle, recording, reading };

  struct Held {  // by a thread as long as it lives
    Lane* lane = nullptr;
    ~Held();
  };

  Recorder();
  Lane* lane_of_this_thread();
  bool enter_session(Lane& lane, int worker);
  // The calling thread's lane, which a recording that ends waits for until leave(); null where none
  // is at work, and within a region.
  Lane* enter();
  static void leave(Lane& lane) { lane.busy_.store(false, std::memory_order_release); }
  // Counts the region and tells the step that it belongs to, and whether it is to be recorded.
  bool count(RegionKind kind, const Work& work, uint32_t& step);
  bool records(int64_t before) const {
    return before / stretch_ % every_.load(std::memory_order_relaxed) == 0;
  }
  // Where each call was to be recorded unless that costs more than it should: looks at what it has
  // cost the calling thread of late, and from then on records stretches of calls.
  void adapt(Lane& lane);
  // What follows the lane's last lap belongs to it, and was asked for.
  bool follows(const Lane& lane) const {
    return gaps_ && (lane.at_ != 0 || every_.load(std::memory_order_relaxed) == 1);
  }
  void look_at_memory(Lane& lane);
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
  std::vector<OperationNumber> marked_;       // of this recording, until it has been read
  RecordingOptions options_;
  bool gaps_ = true;               // what is between recorded steps that follow each other
  int64_t stretch_ = 1;            // so many steps in a row are recorded, or are not
  std::atomic<int64_t> every_{1};  // of so many stretches one is recorded
  double ticks_an_event_ = 0;      // that recording it takes, about; 0: does not adapt
  std::atomic<uint64_t> session_{0};
  struct Counts {  // of a source
    std::atomic<int64_t> steps;
    std::atomic<int64_t> others;  // calls beside training
    std::atomic<bool> called;
    std::atomic<int64_t> most_rows;
    std::atomic<int> most_threads;
  };
  struct FreeCounts {
    void operator()(Counts* counts) const { std::free(counts); }
  };
  std::unique_ptr<Counts[], FreeCounts> counts_;  // of each number; pages nobody uses are not there
  std::vector<MemorySample> memory_;
  std::atomic<uint64_t> next_look_{0};  // at memory, in ticks
  std::atomic<int64_t> left_out_{0};
  uint64_t start_ticks_ = 0;
  int64_t start_nanoseconds_ = 0;
};

// The calling thread's lane while it is within a region and a recording is at work, else null.
inline Lane* current_lane() { return Recorder::on() ? Recorder::instance().current() : nullptr; }

// What the calling thread does from here to the end of the scope is recorded. Must not contain
// calls back into Python: a recording that ends waits for it. Within another region it says whose
// the work is, and for what.
class Region {
 public:
  // Time since the thread's last region was `gap`.
  Region(RegionKind kind, Zone gap, const Work& work = {})
      : lane_(Recorder::on() ? Recorder::instance().open(kind, gap, work, before_) : nullptr) {}
  ~Region() {
    if (lane_ != nullptr) Recorder::instance().close(*lane_, before_);
  }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // Everything since the last lap was this.
  void lap(Zone zone) {
    if (lane_ != nullptr) lane_->lap(zone_id(zone));
  }
  Lane* lane() const { return lane_; }

 private:
  Setting before_;
  Lane* lane_;
};

// Nothing that the calling thread does from here to the end of the scope becomes a lap of its own.
class Quiet {
 public:
  Quiet() : lane_(Recorder::on() ? Recorder::instance().hush() : nullptr) {}
  ~Quiet() {
    if (lane_ != nullptr) --lane_->quiet_;
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  Lane* lane_;
};

// Everything that the calling thread did since its last region was this.
void mark(Zone zone);

}  // namespace gd::profiling

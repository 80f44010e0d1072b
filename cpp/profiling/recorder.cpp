#include "profiling/recorder.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <new>
#include <thread>

#include "base/check.hpp"
#include "base/on_fork.hpp"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace gd::profiling {

using base::require;
using base::StateError;
using base::ValueError;

namespace {

constexpr int64_t kLeastEvents = 1 << 10;
constexpr int64_t kMostEvents = int64_t{1} << 32;

int64_t nanoseconds_now() {
  using std::chrono::duration_cast;
  using std::chrono::nanoseconds;
  return duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t thread_number() {
#if defined(__linux__)
  return syscall(SYS_gettid);
#else
  return 0;
#endif
}

}  // namespace

std::atomic<bool> Recorder::on_{false};
std::atomic<Recorder::Phase> Recorder::phase_{Phase::idle};
thread_local Recorder::Held Recorder::held_;

Recorder& Recorder::instance() {
  static Recorder& recorder = *new Recorder;  // never destroyed: threads may outlive main
  return recorder;
}

Recorder::Recorder() { base::on_fork(before_fork, after_fork_in_parent, after_fork_in_child); }

Recorder::Held::~Held() {
  if (lane == nullptr) return;
  Recorder& recorder = instance();
  const std::lock_guard lock(recorder.mutex_);
  lane->owned_ = false;  // its events stay until the recording ends
}

uint64_t Recorder::start(const RecordingOptions& options) {
  require<ValueError>(
      options.events_per_thread >= kLeastEvents && options.events_per_thread <= kMostEvents,
      "events_per_thread must be from ", kLeastEvents, " to ", kMostEvents, ", got ",
      options.events_per_thread);
  require<ValueError>(options.every >= 1, "every must be at least 1, got ", options.every);
  Lane* const own = lane_of_this_thread();
  const std::lock_guard lock(mutex_);
  require<StateError>(phase_ == Phase::idle, "a profile is being recorded already: one at a time");
  options_ = options;
  steps_ = 0;
  left_out_ = 0;
  ++session_;
  start_nanoseconds_ = nanoseconds_now();
  start_ticks_ = ticks();
  if (!enter_session(*own, 0)) {
    own->session_ = 0;
    throw std::bad_alloc();
  }
  own->at_ = options.every == 1 ? start_ticks_ : 0;
  phase_ = Phase::recording;
  on_.store(true);
  return session_;
}

Lane* Recorder::lane_of_this_thread() {
  if (held_.lane != nullptr) return held_.lane;
  const std::lock_guard lock(mutex_);
  for (const auto& lane : lanes_) {
    // Of a thread that is gone, and not of this recording.
    if (lane->owned_ || lane->session_ != 0) continue;
    held_.lane = lane.get();
    break;
  }
  if (held_.lane == nullptr) {
    lanes_.push_back(std::make_unique<Lane>());
    held_.lane = lanes_.back().get();
  }
  held_.lane->owned_ = true;
  held_.lane->session_ = 0;
  return held_.lane;
}

bool Recorder::enter_session(Lane& lane, int worker) {
  const auto size = std::bit_ceil(static_cast<uint64_t>(options_.events_per_thread));
  lane.events_ = allocate_events(size);
  lane.session_ = session_;
  lane.mask_ = size - 1;
  lane.count_ = 0;
  lane.at_ = 0;
  lane.step_ = 0;
  lane.current_ = lane.last_ = kNoOperation;
  lane.depth_ = 0;
  lane.worker_ = worker;
  lane.thread_ = thread_number();
  if (lane.events_ == nullptr) {
    ++left_out_;
    return false;
  }
  if (options_.counters) lane.counters_.open();
  return true;
}

Lane* Recorder::open(RegionKind kind, Zone gap) {
  Lane& lane = *lane_of_this_thread();
  if (lane.depth_ > 0) {  // within another, which has the time
    ++lane.depth_;
    return &lane;
  }
  // Either stop() sees that we are within, or we see that it has begun.
  lane.busy_.store(true);
  if (!on_.load()) {
    lane.busy_.store(false);
    return nullptr;
  }
  try {
    if (lane.session_ != session_) enter_session(lane, 0);
  } catch (...) {  // who stops would wait for us for ever
    lane.busy_.store(false);
    throw;
  }
  uint32_t step = steps_.load(std::memory_order_relaxed);
  bool recorded = lane.events_ != nullptr;
  if (kind == RegionKind::step) {
    step = steps_.fetch_add(1, std::memory_order_relaxed) + 1;
    if ((step - 1) % options_.every != 0) recorded = false;
  }
  if (!recorded) {
    lane.at_ = 0;
    lane.busy_.store(false, std::memory_order_release);
    return nullptr;
  }
  if (options_.every > 1 || lane.at_ == 0) {
    lane.at_ = ticks();
  } else {
    lane.lap(zone_id(gap));
  }
  lane.step_ = step;
  lane.current_ = lane.last_ = kNoOperation;
  lane.depth_ = 1;
  return &lane;
}

void Recorder::close(Lane& lane) {
  if (--lane.depth_ > 0) return;
  lane.current_ = kNoOperation;
  lane.lap(zone_id(Zone::kStep));
  lane.busy_.store(false, std::memory_order_release);
}

Lane* Recorder::current() {
  Lane* const lane = held_.lane;
  return lane != nullptr && lane->depth_ > 0 ? lane : nullptr;
}

Lane* Recorder::join(int worker, uint32_t step, uint64_t asleep_since) try {
  Lane& lane = *lane_of_this_thread();
  if (lane.session_ != session_) enter_session(lane, worker);
  if (lane.events_ == nullptr) return nullptr;
  lane.current_ = lane.last_ = kNoOperation;
  const bool follows = options_.every == 1 || lane.step_ == step;
  lane.step_ = step;
  if (lane.at_ == 0 || !follows) {
    lane.at_ = ticks();
  } else {
    lane.end_wait(asleep_since, zone_id(Zone::kStep));
  }
  return &lane;
} catch (const std::bad_alloc&) {
  ++left_out_;
  return nullptr;
}

void Recorder::wait_for_regions(std::unique_lock<std::mutex>& lock) {
  while (std::ranges::any_of(lanes_, [](const auto& lane) { return lane->busy_.load(); })) {
    lock.unlock();  // a worker may need it for its first event
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    lock.lock();
  }
}

void Recorder::leave_session() {
  for (const auto& lane : lanes_) {
    if (lane->session_ != session_) continue;
    lane->counters_.close();
    lane->events_.reset();
    lane->at_ = 0;
    lane->session_ = 0;
  }
  phase_ = Phase::idle;
}

Recording Recorder::stop(uint64_t number) {
  std::unique_lock lock(mutex_);
  require<StateError>(phase_ == Phase::recording && (number == 0 || number == session_),
                      "no profile is being recorded");
  const uint64_t now = ticks();
  const int64_t ended = nanoseconds_now();
  phase_ = Phase::reading;  // nobody starts another until this one has been read
  on_.store(false);
  struct Left {  // in every ending
    Recorder& recorder;
    std::unique_lock<std::mutex>& lock;
    ~Left() {
      if (!lock.owns_lock()) lock.lock();
      recorder.leave_session();
    }
  } const left{*this, lock};
  wait_for_regions(lock);
  Recording recording;
  lock.unlock();  // who forks takes this mutex and theirs in an order of its own
  recording.operations = named_operations();
  lock.lock();
  const double scale = static_cast<double>(ended - start_nanoseconds_) /
                       static_cast<double>(std::max<uint64_t>(now - start_ticks_, 1));
  for (const auto& lane : lanes_) {
    if (lane->session_ != session_) continue;
    if (lane->events_ != nullptr) {
      LaneRecording taken = take(*lane, now);
      for (Event& event : taken.events) {
        const auto since_start = [&](uint64_t at) {
          const auto passed = static_cast<double>(static_cast<int64_t>(at - start_ticks_));
          return static_cast<uint64_t>(std::max(0.0, passed) * scale);
        };
        event.begin = since_start(event.begin);
        event.end = std::max(event.begin, since_start(event.end));
      }
      recording.lanes.push_back(std::move(taken));
    }
  }
  recording.nanoseconds = ended - start_nanoseconds_;
  recording.steps = steps_;
  recording.bytes_a_thread = static_cast<int64_t>(
      std::bit_ceil(static_cast<uint64_t>(options_.events_per_thread)) * sizeof(Event));
  recording.threads_left_out = left_out_;
  return recording;
}

LaneRecording Recorder::take(Lane& lane, uint64_t now) {
  if (options_.every == 1 && lane.at_ != 0 && now > lane.at_) {
    // What it has been at since: a worker for its caller, a caller for the program.
    const bool calls = lane.worker_ == 0;
    lane.lap_until(now, zone_id(calls ? Zone::kCaller : Zone::kSleep),
                   calls ? kNoOperation : zone_id(Zone::kStep), {});
  }
  LaneRecording result;
  result.worker = lane.worker_;
  result.thread = lane.thread_;
  const uint64_t kept = std::min(lane.count_, lane.mask_ + 1);
  result.dropped = static_cast<int64_t>(lane.count_ - kept);
  result.events.reserve(kept);
  for (uint64_t i = lane.count_ - kept; i < lane.count_; ++i) {
    result.events.push_back(lane.events_[i & lane.mask_]);
  }
  result.counters = lane.counters_.read();
  if (options_.counters) result.counters_error = lane.counters_.error();
  lane.events_.reset();  // two copies of everything would be too much
  return result;
}

void Recorder::before_fork() { instance().mutex_.lock(); }
void Recorder::after_fork_in_parent() { instance().mutex_.unlock(); }

// Only the forking thread lives on; what is being recorded stays the parent's.
void Recorder::after_fork_in_child() {
  Recorder& recorder = instance();
  on_.store(false);
  phase_ = Phase::idle;
  for (const auto& lane : recorder.lanes_) {
    lane->busy_.store(false);
    lane->depth_ = 0;
    if (lane.get() != held_.lane) lane->owned_ = false;
    lane->session_ = 0;
  }
  recorder.mutex_.unlock();
}

void mark(Zone zone) {
  if (!Recorder::on()) return;
  // A region of its own whose gap is what was done; nothing is in it.
  const Region region(RegionKind::other, zone);
}

}  // namespace gd::profiling

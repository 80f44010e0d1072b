#include "profiling/recorder.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>
#include <thread>

#include "base/check.hpp"
#include "base/memory.hpp"
#include "base/on_fork.hpp"

#if defined(__linux__)
#include <fcntl.h>
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

// Where each step is recorded unless that costs too much.
constexpr double kMostCost = .02;  // of the time
constexpr double kMostEvery = 64;  // stretches for one that is recorded
constexpr int64_t kStretch = 16;   // steps, so that what is between them is seen too
constexpr uint32_t kCallsALook = 1024;
constexpr double kBesideLoop = 4;  // times what laps in a row take: steps find less in cache then

int64_t nanoseconds_now() {
  using std::chrono::duration_cast;
  using std::chrono::nanoseconds;
  return duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of this process.
int64_t resident_bytes() {
#if defined(__linux__)
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[64] = {};
  const ssize_t size = ::read(file, text, sizeof text - 1);
  ::close(file);
  long long all = 0;
  long long resident = 0;
  if (size <= 0 || std::sscanf(text, "%lld %lld", &all, &resident) != 2) return 0;
  return resident * sysconf(_SC_PAGESIZE);
#else
  return 0;
#endif
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
  require<ValueError>(options.every >= 0, "every must be at least 1, got ", options.every);
  Lane* const own = lane_of_this_thread();
  const std::lock_guard lock(mutex_);
  require<StateError>(phase_ == Phase::idle, "a profile is being recorded already: one at a time");
  constexpr size_t kSources = size_t{std::numeric_limits<SourceId>::max()} + 1;
  counts_.reset(static_cast<Counts*>(std::calloc(kSources, sizeof(Counts))));
  if (counts_ == nullptr) throw std::bad_alloc();
  options_ = options;
  memory_.clear();
  left_out_ = 0;
  ++session_;
  if (!enter_session(*own, 0)) {
    own->session_ = 0;
    throw std::bad_alloc();
  }
  const bool adapts = options.every == 0;
  gaps_ = options.every <= 1;
  every_ = std::max<int64_t>(options.every, 1);
  stretch_ = adapts ? kStretch : 1;
  ticks_an_event_ = adapts ? kBesideLoop * own->ticks_of_a_lap() : 0;
  start_nanoseconds_ = nanoseconds_now();
  start_ticks_ = ticks();
  memory_.push_back({start_ticks_, resident_bytes(), base::allocated_bytes()});
  constexpr uint64_t kFirstLook = 50'000'000;  // ticks, before their length is known
  next_look_ = start_ticks_ + kFirstLook;
  own->at_ = own->since_ = gaps_ ? start_ticks_ : 0;
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
    held_.lane->number_ = static_cast<uint16_t>(lanes_.size() - 1);
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
  lane.touched_ = 0;
  lane.at_ = 0;
  lane.since_ = 0;
  lane.calls_ = 0;
  lane.looked_at_ = 0;
  lane.step_ = 0;
  lane.region_ = 0;
  lane.setting_ = {.team = lane.number_};
  lane.current_ = lane.last_ = kNoOperation;
  lane.depth_ = 0;
  lane.worker_ = worker;
  lane.thread_ = thread_number();
  lane.ranges_.clear();
  lane.open_ranges_.clear();
  lane.ranges_left_out_ = 0;
  if (lane.events_ == nullptr) {
    ++left_out_;
    return false;
  }
  lane.touch_more();
  if (options_.counters) lane.counters_.open();
  return true;
}

Lane* Recorder::enter() {
  Lane& lane = *lane_of_this_thread();
  if (lane.depth_ > 0) return nullptr;
  // Either stop() sees that we are within, or we see that it has begun.
  lane.busy_.store(true);
  if (!on_.load()) {
    leave(lane);
    return nullptr;
  }
  try {
    if (lane.session_ != session_) enter_session(lane, 0);
  } catch (...) {  // who stops would wait for us for ever
    leave(lane);
    throw;
  }
  return &lane;
}

bool Recorder::count(RegionKind kind, const Work& work, uint32_t& step) {
  Counts& counts = counts_[work.source];
  counts.called.store(true, std::memory_order_relaxed);
  if (kind == RegionKind::step) {
    if (work.rows > counts.most_rows.load(std::memory_order_relaxed)) {
      counts.most_rows.store(work.rows, std::memory_order_relaxed);
    }
    if (work.threads > counts.most_threads.load(std::memory_order_relaxed)) {
      counts.most_threads.store(work.threads, std::memory_order_relaxed);
    }
    const int64_t before = counts.steps.fetch_add(1, std::memory_order_relaxed);
    step = static_cast<uint32_t>(before + 1);
    return records(before);
  }
  const int64_t steps = counts.steps.load(std::memory_order_relaxed);
  if (work.purpose == Purpose::training) {  // of the step that follows
    step = static_cast<uint32_t>(steps + 1);
    return records(steps);
  }
  step = static_cast<uint32_t>(steps);
  return records(counts.others.fetch_add(1, std::memory_order_relaxed));
}

void Recorder::adapt(Lane& lane) {
  const uint64_t now = ticks();
  const auto events = static_cast<double>(lane.count_ - lane.looked_at_count_);
  const double share = events * ticks_an_event_ / static_cast<double>(now - lane.looked_at_);
  // Once and for all: whoever reads goes by one number.
  if (lane.looked_at_ != 0 && every_ == 1 && share > kMostCost) {
    every_ = static_cast<int64_t>(std::min(std::ceil(share / kMostCost), kMostEvery));
  }
  lane.looked_at_ = now;
  lane.looked_at_count_ = lane.count_;
}

Lane* Recorder::open(RegionKind kind, Zone gap, const Work& work, Setting& before) {
  if (Lane* const lane = held_.lane; lane != nullptr && lane->depth_ > 0) {
    // Within another, which has the time.
    ++lane->depth_;
    before = lane->setting_;
    lane->setting_.purpose = work.purpose;
    if (work.source != kNoSource) lane->setting_.source = work.source;
    return lane;
  }
  Lane* const lane = enter();
  if (lane == nullptr) return nullptr;
  uint32_t step = 0;
  if (ticks_an_event_ != 0 && lane->calls_++ % kCallsALook == 0) adapt(*lane);
  if (!count(kind, work, step) || lane->events_ == nullptr) {
    lane->at_ = 0;
    leave(*lane);
    return nullptr;
  }
  lane->setting_ = {.team = lane->number_,
                    .source = work.source,
                    .cpu = static_cast<uint16_t>(base::current_cpu()),
                    .purpose = work.purpose};
  lane->step_ = step;
  ++lane->region_;
  if (!gaps_ || lane->at_ == 0) {
    lane->at_ = lane->since_ = ticks();
  } else {
    lane->lap(zone_id(gap));
  }
  lane->current_ = lane->last_ = kNoOperation;
  lane->depth_ = 1;
  return lane;
}

void Recorder::close(Lane& lane, const Setting& before) {
  if (--lane.depth_ > 0) {
    lane.setting_ = before;
    return;
  }
  lane.current_ = kNoOperation;
  lane.lap(zone_id(Zone::kStep));
  if (lane.at_ >= next_look_.load(std::memory_order_relaxed)) look_at_memory(lane);
  leave(lane);
}

Lane* Recorder::current() {
  Lane* const lane = held_.lane;
  return lane != nullptr && lane->depth_ > 0 && lane->quiet_ == 0 ? lane : nullptr;
}

Lane* Recorder::hush() {
  Lane* const lane = held_.lane;
  if (lane != nullptr) ++lane->quiet_;
  return lane;
}

Lane* Recorder::join(int worker, const Call& call, const Pause& pause) try {
  Lane& lane = *lane_of_this_thread();
  if (lane.session_ != session_) enter_session(lane, worker);
  if (lane.events_ == nullptr) return nullptr;
  const bool same = lane.region_ == call.region && lane.setting_.team == call.setting.team;
  const OperationId cause = same && call.last != kNoOperation ? call.last : zone_id(Zone::kStep);
  lane.current_ = lane.last_ = kNoOperation;
  lane.setting_ = call.setting;
  lane.setting_.cpu = static_cast<uint16_t>(base::current_cpu());
  lane.step_ = call.step;
  lane.region_ = call.region;
  lane.worker_ = worker;
  if (lane.at_ == 0 || !(same || gaps_)) {
    lane.at_ = ticks();
    return &lane;
  }
  if (every_ > 1) lane.at_ = std::max(lane.at_, call.since);
  if (pause.gave_way_at > lane.at_) {
    lane.lap_until(pause.gave_way_at, zone_id(Zone::kWait), cause, {});
    lane.lap_until(pause.back_at, zone_id(Zone::kYield), cause, {});
  }
  lane.end_wait(pause.asleep_since, cause);
  return &lane;
} catch (const std::bad_alloc&) {
  ++left_out_;
  return nullptr;
}

void Recorder::mark(OperationId operation) {
  Lane* const lane = enter();
  if (lane == nullptr) return;
  if (follows(*lane)) {
    if (lane->at_ == 0) {
      lane->at_ = lane->since_ = ticks();
    } else if (lane->events_ != nullptr) {
      lane->lap(operation);
    }
  }
  leave(*lane);
}

void Recorder::mark_since(uint64_t since, Zone before, const NamedOperation& operation) {
  Lane* const lane = enter();
  if (lane == nullptr) return;
  if (follows(*lane) && lane->events_ != nullptr && since >= start_ticks_) {
    OperationNumber number(operation);
    if (lane->at_ == 0) lane->at_ = lane->since_ = since;
    if (since > lane->at_) lane->lap_until(since, zone_id(before), kNoOperation, {});
    lane->lap(number.id());
    const std::lock_guard lock(mutex_);
    marked_.push_back(std::move(number));
  }
  leave(*lane);
}

uint64_t Recorder::begin_range(const std::string& name) {
  Lane* const lane = enter();
  if (lane == nullptr) return 0;
  uint64_t token = 0;
  if (static_cast<int64_t>(lane->ranges_.size()) < options_.events_per_thread) {
    const auto index = static_cast<uint32_t>(lane->ranges_.size());
    lane->ranges_.push_back({ticks(), 0, lane->step_,
                             static_cast<uint16_t>(lane->open_ranges_.size()),
                             lane->setting_.source, name});
    lane->open_ranges_.push_back(index);
    token = session_ << 32 | (index + 1);
  } else {
    ++lane->ranges_left_out_;
  }
  leave(*lane);
  return token;
}

void Recorder::end_range(uint64_t range) {
  Lane* const lane = enter();
  if (lane == nullptr) return;
  const uint32_t index = static_cast<uint32_t>(range) - 1;
  if (range >> 32 == (session_ & 0xFFFFFFFF) && index < lane->ranges_.size()) {
    lane->ranges_[index].end = ticks();
    std::erase(lane->open_ranges_, index);
  }
  leave(*lane);
}

void Recorder::look_at_memory(Lane& lane) {
  constexpr int64_t kInterval =
      100'000'000;  // nanoseconds: a look takes up to a tenth of a millisecond
  constexpr size_t kMost = 1 << 16;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || lane.at_ < next_look_) return;
  const uint64_t passed = lane.at_ - start_ticks_;
  const int64_t taken = nanoseconds_now() - start_nanoseconds_;
  const double scale =
      static_cast<double>(passed) / static_cast<double>(std::max<int64_t>(taken, 1));
  next_look_ = lane.at_ + static_cast<uint64_t>(scale * kInterval);
  if (memory_.size() >= kMost) {  // of a run this long every other one does
    for (size_t i = 0; i < kMost / 2; ++i) memory_[i] = memory_[2 * i];
    memory_.resize(kMost / 2);
  }
  memory_.push_back({lane.at_, resident_bytes(), base::allocated_bytes()});
  lane.lap(zone_id(Zone::kRecorder));
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
    lane->ranges_ = {};
    lane->at_ = 0;
    lane->session_ = 0;
  }
  counts_.reset();
  marked_.clear();
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
  recording.sources = named_sources();
  lock.lock();
  const TimeScale scale{start_ticks_,
                        static_cast<double>(ended - start_nanoseconds_) /
                            static_cast<double>(std::max<uint64_t>(now - start_ticks_, 1))};
  for (const auto& lane : lanes_) {
    if (lane->session_ != session_ || lane->events_ == nullptr) continue;
    LaneRecording taken = take(*lane, now);
    taken.scale = scale;
    for (Range& range : taken.ranges) {
      range.end = scale(range.end == 0 ? now : range.end);
      range.begin = scale(range.begin);
    }
    recording.lanes.push_back(std::move(taken));
  }
  for (size_t i = 0; i <= recording.sources.size(); ++i) {
    const Counts& counts = counts_[i];
    recording.steps += counts.steps;
    if (!counts.called) continue;
    recording.counts.push_back(
        {static_cast<SourceId>(i), counts.steps, counts.most_rows, counts.most_threads});
  }
  memory_.push_back({now, resident_bytes(), base::allocated_bytes()});
  recording.memory = std::move(memory_);
  for (MemorySample& sample : recording.memory) sample.at = scale(sample.at);
  recording.began = start_nanoseconds_;
  recording.every = every_;
  recording.nanoseconds = ended - start_nanoseconds_;
  recording.bytes_a_thread = static_cast<int64_t>(
      std::bit_ceil(static_cast<uint64_t>(options_.events_per_thread)) * sizeof(Event));
  recording.threads_left_out = left_out_;
  return recording;
}

LaneRecording Recorder::take(Lane& lane, uint64_t now) {
  if (gaps_ && lane.at_ != 0 && now > lane.at_ && !(lane.worker_ != 0 && every_ > 1)) {
    // What it has been at since: a worker for its caller, a caller for the program.
    const bool calls = lane.worker_ == 0;
    lane.lap_until(now, zone_id(calls ? Zone::kCaller : Zone::kSleep),
                   calls ? kNoOperation : zone_id(Zone::kStep), {});
  }
  LaneRecording result;
  result.worker = lane.worker_;
  result.number = lane.number_;
  result.thread = lane.thread_;
  const uint64_t kept = std::min(lane.count_, lane.mask_ + 1);
  result.dropped = static_cast<int64_t>(lane.count_ - kept);
  result.first = lane.count_ - kept;
  result.count = lane.count_;
  result.mask = lane.mask_;
  result.ring = std::move(lane.events_);
  result.ranges = std::move(lane.ranges_);
  result.ranges_left_out = lane.ranges_left_out_;
  result.counters = lane.counters_.read();
  if (options_.counters) result.counters_error = lane.counters_.error();
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
    lane->quiet_ = 0;
    if (lane.get() != held_.lane) lane->owned_ = false;
    lane->session_ = 0;
  }
  recorder.mutex_.unlock();
}

void mark(Zone zone) {
  if (Recorder::on()) Recorder::instance().mark(zone_id(zone));
}

}  // namespace gd::profiling

#include "parallel/crew.hpp"

#include <omp.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "parallel/places.hpp"
#include "parallel/trial.hpp"
#include "profiling/recorder.hpp"

namespace gd::parallel {
namespace {

// Threads started within its life inherit a mask that leaves signals to the threads of the
// application (Python's handlers run there). Faults stay open: a blocked one kills silently.
class SignalsBlocked {
#if defined(_WIN32)  // Ctrl-C comes on a thread of its own there
 public:
  SignalsBlocked() {}
  ~SignalsBlocked() {}
#else
 public:
  SignalsBlocked() {
    sigset_t mask;
    sigfillset(&mask);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) {
      sigdelset(&mask, fault);
    }
    pthread_sigmask(SIG_BLOCK, &mask, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
#endif
};

// How long a worker has had its core. Shorter than schedulers let a thread run while another waits.
class Turn {
 public:
  Turn() : length_(length()), begun_(profiling::ticks()) {}

  void begin() { begun_ = profiling::ticks(); }
  uint64_t begun() const { return begun_; }
  bool is_over() const { return profiling::ticks() - begun_ > length_; }

 private:
  static uint64_t length() {
    static const uint64_t ticks = in_ticks(kLength);
    return ticks;
  }
  // As many as pass in that time.
  static uint64_t in_ticks(std::chrono::nanoseconds time) {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::microseconds kMeasured{100};
    const auto start = Clock::now();
    const uint64_t first = profiling::ticks();
    while (Clock::now() - start < kMeasured) pause();
    return (profiling::ticks() - first) * static_cast<uint64_t>(time / kMeasured);
  }

  static constexpr std::chrono::milliseconds kLength{2};

  uint64_t length_;
  uint64_t begun_;
};

// For debuggers and perf; the system allows 15 characters.
void name_this_thread([[maybe_unused]] int index) {
#if !defined(_WIN32)
  char name[16] = "gdcore-";
  std::to_chars(name + 7, name + sizeof name - 1, index);
#if defined(__APPLE__)
  pthread_setname_np(name);
#else
  pthread_setname_np(pthread_self(), name);
#endif
#endif
}

}  // namespace

std::shared_ptr<Crew> Crew::hire(int workers) {
  auto crew = std::make_shared<Crew>();
  crew->barrier_ = Barrier(workers);  // here, where an error reaches the caller
  crew->barrier_.set_workers(1);
  try {
    const SignalsBlocked blocked;
    std::thread([crew, workers] { crew->host(workers); }).detach();
  } catch (const std::system_error&) {
    return crew;  // no thread to be had: the caller works alone
  }
  crew->ready_.wait_asleep([](uint32_t ready) { return ready != 0; });
  return crew;
}

void Crew::compute_once() {
  static_cast<void>(patience_between_runs());
  static_cast<void>(Turn());
}

void Crew::host(int workers) noexcept {
  const int others = threads_to_be_had(workers - 2);
#pragma omp parallel num_threads(others + 1)
  {
    const int index = omp_get_thread_num() + 1;
    if (index == 1) {
      size_ = omp_get_num_threads() + 1;
      barrier_.set_workers(size_);
      ready_.add(1);
      ready_.wake();
    } else {
      ready_.wait_asleep([](uint32_t ready) { return ready != 0; });
    }
    name_this_thread(index);
    move_to_place(index);
    serve(index);
  }
}

profiling::Lane* Crew::join(int index, const profiling::Pause& pause) noexcept {
  if (!is_recorded_) return nullptr;
  try {
    return profiling::Recorder::instance().join(index, recorded_, pause);
  } catch (...) {
    fail(std::current_exception());
    return nullptr;
  }
}

void Crew::serve(int index) noexcept {
  Patience between_runs = patience_between_runs();
  Patience within_run = patience_within_run();
  Turn turn;
  between_runs.allow_moves();
  within_run.allow_moves();
  profiling::Pause pause;
  for (uint32_t order = 0;;) {
    between_runs.stay_awake();
    orders_.wait(between_runs,
                 [order](uint32_t now) { return static_cast<int32_t>(now - order) > 0; });
    if (!take_up(order)) continue;
    if (body_ == nullptr) return;
    pause.asleep_since = between_runs.asleep_since();
    profiling::Lane* const lane = join(index, pause);
    pause.gave_way_at = 0;
    work(index, within_run, *body_, lane);
    const bool gives_way = size_ == 2 && turn.is_over();
    if (gives_way) here_.store(false, std::memory_order_relaxed);  // seen with what comes next
    const uint32_t awaited = awaited_;  // the caller's own again once it has what it awaits
    if (finished_.add(1) == awaited) finished_.wake();
    if (gives_way) {
      pause.gave_way_at = profiling::ticks();
      std::this_thread::yield();
      turn.begin();
      pause.back_at = turn.begun();
      here_.store(true, std::memory_order_release);
    }
  }
}

bool Crew::take_up(uint32_t& order) {
  uint64_t call = call_.load(std::memory_order_acquire);
  while (call % 4 == kOffered && !call_.compare_exchange_weak(call, call - kOffered + kTaken)) {
  }
  order = static_cast<uint32_t>(call >> 2);
  return call % 4 == kForAll || call % 4 == kOffered;
}

bool Crew::all_here(int64_t patience) {
  const auto here = [this] { return here_.load(std::memory_order_acquire); };
  if (here()) {
    waited_ = false;
    return true;
  }
  if (waited_) return false;
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(patience);
  while (!here() && std::chrono::steady_clock::now() < end) pause();
  waited_ = !here();
  return !waited_;
}

void Crew::give(const Body* body, const profiling::Lane* lane, Call call, uint32_t takers) {
  body_ = body;
  is_recorded_ = lane != nullptr;
  if (is_recorded_) recorded_ = lane->call();
  awaited_ = finished_.load() + takers;
  call_.store(call_of(orders_.load() + 1, call), std::memory_order_release);
  orders_.add(1);
  orders_.wake();
}

void Crew::wait_for_takers() {
  patience_.stay_awake();
  finished_.wait(patience_, [this](uint32_t now) { return now == awaited_; });
}

void Crew::run(Body body) {
  profiling::Lane* const lane = profiling::current_lane();
  give(&body, lane, kForAll, static_cast<uint32_t>(size_) - 1);
  if (lane != nullptr) lane->lap(profiling::zone_id(profiling::Zone::kStep));
  work(0, patience_, body, lane);
  wait_for_takers();
  if (lane != nullptr) lane->end_wait(patience_.asleep_since());
  rethrow();
}

void Crew::offer(Body body) {
  profiling::Lane* const lane = profiling::current_lane();
  give(&body, lane, kOffered, 1);
  if (lane != nullptr) lane->lap(profiling::zone_id(profiling::Zone::kStep));
  work(0, patience_, body, lane);
  const uint32_t order = orders_.load();
  uint64_t offered = call_of(order, kOffered);
  if (!call_.compare_exchange_strong(offered, call_of(order, kClosed))) {
    wait_for_takers();
    if (lane != nullptr) lane->end_wait(patience_.asleep_since());
    waited_ = false;
  }
  rethrow();
}

void Crew::rethrow() {
  if (!failed_.load(std::memory_order_relaxed)) return;
  failed_.store(false, std::memory_order_relaxed);
  barrier_.mend();
  std::rethrow_exception(std::exchange(error_, nullptr));
}

void Crew::dismiss() { give(nullptr, nullptr, kForAll, 0); }

void Crew::work(int index, Patience& patience, const Body& body, profiling::Lane* lane) noexcept {
  Worker worker(index, size_, patience, barrier_, lane);
  try {
    body(worker);
  } catch (const Barrier::Broken&) {
    // Another worker failed, and its error is kept.
  } catch (...) {
    fail(std::current_exception());
  }
}

void Crew::fail(std::exception_ptr error) noexcept {
  if (!failed_.exchange(true)) error_ = std::move(error);
  barrier_.break_up();
}

}  // namespace gd::parallel

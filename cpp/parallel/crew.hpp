#pragma once

// The hired threads of a team and the protocol between them and the caller.

#include <atomic>
#include <exception>
#include <memory>

#include "base/function_ref.hpp"
#include "parallel/worker.hpp"

namespace gd::parallel {

using Body = base::FunctionRef<void(Worker&)>;

// Threads 1 .. size()-1 of a team. One detached thread of ours opens one OpenMP region and holds it
// open as long as the crew lives; so OpenMP's own waiting, which spins long and cannot be told
// otherwise, never comes into play, and no other OpenMP user in the process is touched.
class Crew {
 public:
  // Starts up to workers - 1 threads; size() tells how many there are, the caller included.
  static std::shared_ptr<Crew> hire(int workers);
  static void compute_once();  // what is computed once in a process

  void run(Body body);
  // For the caller and whoever comes before it is done.
  void offer(Body body);
  void dismiss();  // the threads end soon after

  // Whether a run can begin with everybody. Waits for who has given way to others of the system, up
  // to so many nanoseconds, and then not again until all have been back.
  bool all_here(int64_t patience);

  int size() const { return size_; }

 private:
  void host(int workers) noexcept;
  void serve(int index) noexcept;
  // The lane of hired worker `index` in the recording of its caller, or null; its error is kept.
  profiling::Lane* join(int index, const profiling::Pause& pause) noexcept;
  void work(int index, Patience& patience, const Body& body, profiling::Lane* lane) noexcept;
  void fail(std::exception_ptr error) noexcept;

  // An order and who may take it up, in one word: a worker that comes late takes up what there is
  // now, or nothing.
  enum Call : uint64_t { kForAll, kOffered, kTaken, kClosed };
  static constexpr uint64_t call_of(uint32_t order, Call call) {
    return uint64_t{order} << 2 | call;
  }
  void give(const Body* body, const profiling::Lane* lane, Call call, uint32_t takers);
  // Sees to the order that there is; true: it is to be done. For worker 1 and up.
  bool take_up(uint32_t& order);
  void wait_for_takers();
  void rethrow();  // what a worker threw, if one has

  // Side by side, so that one cache line brings the news and what to do.
  alignas(kCacheLine) WaitWord orders_;  // counts them
  std::atomic<uint64_t> call_{0};        // of the last one
  const Body* body_ = nullptr;           // nullptr: go home
  bool is_recorded_ = false;             // what its caller does
  profiling::Call recorded_;             // the caller's place then
  uint32_t awaited_ = 0;                 // finished_ when all who took it up are done

  alignas(kCacheLine) WaitWord finished_;  // counts bodies left, over all hired workers
  Barrier barrier_{1};                     // of size_ once that is known

  alignas(kCacheLine) std::atomic<bool> failed_{false};
  std::exception_ptr error_;  // of the worker that set failed_

  // A lone hired worker that has been at it for long lets others have its core between two runs: a
  // busy neighbour would else take it in the midst of one, and the caller wait for milliseconds.
  alignas(kCacheLine) std::atomic<bool> here_{true};
  bool waited_ = false;  // the caller, in vain, since all were here

  int size_ = 1;
  Patience patience_ = patience_within_run();  // the caller's
  WaitWord ready_;                             // size_ is known
};

}  // namespace gd::parallel

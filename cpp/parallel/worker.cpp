#include "parallel/worker.hpp"

namespace gd::parallel {

Barrier::Barrier(int workers) : places_(std::make_unique<Place[]>(static_cast<size_t>(workers))) {
  set_workers(workers);
}

void Barrier::set_workers(int workers) noexcept {
  workers_ = workers;
  rounds_ = 0;
  while ((int64_t{1} << rounds_) < workers) ++rounds_;
}

void Barrier::wait(int index, Patience& patience) {
  Place& own = places_[static_cast<size_t>(index)];
  const uint32_t meeting = own.met + 2;
  for (int round = 0; round < rounds_; ++round) {
    const auto on = static_cast<size_t>((index + (int64_t{1} << round)) % workers_);
    WaitWord& told = places_[on].heard[round].word;
    told.add(2);
    told.wake();
    // Who is told may be one meeting ahead of us, never more.
    const uint32_t heard = own.heard[round].word.wait(patience, [meeting](uint32_t now) {
      return (now & kBroken) != 0 || static_cast<int32_t>(now - meeting) >= 0;
    });
    if ((heard & kBroken) != 0) throw Broken{};
  }
  own.met = meeting;
}

void Barrier::break_up() {
  for (int i = 0; i < workers_; ++i) {
    for (int round = 0; round < rounds_; ++round) {
      WaitWord& word = places_[static_cast<size_t>(i)].heard[round].word;
      word.set_bits(kBroken);
      word.wake();
    }
  }
}

void Barrier::mend() {
  for (int i = 0; i < workers_; ++i) {
    Place& place = places_[static_cast<size_t>(i)];
    place.met = 0;
    for (Line& line : place.heard) line.word.set(0);
  }
}

void Worker::recorded_barrier() {
  lane_->begin_wait();
  patience_->stay_awake();
  barrier_->wait(index_, *patience_);
  lane_->end_wait(patience_->asleep_since());
}

}  // namespace gd::parallel

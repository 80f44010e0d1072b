#include "parallel/worker.hpp"

namespace gd::parallel {

void Barrier::wait(uint32_t workers, Patience& patience) {
  // Nobody can open the next epoch before we have arrived, so this reads the present one.
  uint32_t epoch = epoch_.load();
  if ((epoch & kBroken) == 0) {
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == workers) {
      arrived_.store(0, std::memory_order_relaxed);
      epoch_.add(2);
      epoch_.wake();
      return;
    }
    epoch = epoch_.wait(patience, [epoch](uint32_t now) { return now != epoch; });
  }
  if ((epoch & kBroken) != 0) throw Broken{};
}

void Barrier::break_up() {
  epoch_.set_bits(kBroken);
  epoch_.wake();
}

void Barrier::mend() {
  arrived_.store(0, std::memory_order_relaxed);
  epoch_.set(epoch_.load() & ~kBroken);
}

}  // namespace gd::parallel

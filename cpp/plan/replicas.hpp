#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/check.hpp"

namespace gd::plan {

// Copies of the parameters for hired workers, where a step is shared by samples.
//
// Memory that two cores have read is slow to write: some nine nanoseconds a line, one after the
// other, while a line that one core has written comes to another in one, prefetched (Zen 4). So no
// two workers share parameters, and none leaves a line of others unwritten that it has read: a
// piece of a gradient goes from all workers to the one that updates with it, and comes back as
// updated parameters in the same lines.
//
// Copies are good for one version of the parameters, and made anew by their worker when that has
// passed.
template <class T>
class Replicas {
 public:
  Replicas() = default;  // none
  // For workers 1 to workers - 1, in `memory` of size() elements.
  Replicas(T* memory, int workers, int64_t flat_size)
      : memory_(memory), flat_size_(flat_size), versions_(static_cast<size_t>(workers - 1)) {}

  int workers() const { return static_cast<int>(versions_.size()) + 1; }
  static int64_t size(int workers, int64_t flat_size) { return (workers - 1) * flat_size; }

  T* of(int worker) const { return memory_ + (worker - 1) * flat_size_; }

  // Of a worker's copy, by that worker; 0 is none.
  uint64_t& version(int worker) { return versions_[static_cast<size_t>(worker) - 1].of; }

 private:
  struct alignas(base::kAlignment) Version {
    uint64_t of = 0;
  };

  T* memory_ = nullptr;
  int64_t flat_size_ = 0;
  std::vector<Version> versions_;
};

// Of the flat gradient, that a worker adds up at a time.
inline constexpr int64_t kLeastElementsAdded = 128;
inline constexpr int64_t kMostElementsAdded = 1024;

// Which pieces of the parameters a worker has updated itself in a step.
class OwnPieces {
 public:
  explicit OwnPieces(int64_t most) : own_(static_cast<size_t>(most)) {}
  void reset() { own_.assign(own_.size(), 0); }
  void add(int64_t piece) { own_[static_cast<size_t>(piece)] = 1; }
  bool has(int64_t piece) const { return own_[static_cast<size_t>(piece)] != 0; }

 private:
  std::vector<char> own_;
};

}  // namespace gd::plan

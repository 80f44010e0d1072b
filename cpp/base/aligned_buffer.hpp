#pragma once

#include <cstdint>
#include <memory>

#include "base/check.hpp"
#include "base/memory.hpp"

namespace gd::base {

// Elements of T rounded up so that what follows starts on a cache line again.
template <class T>
constexpr int64_t padded(int64_t count) {
  constexpr int64_t line = kAlignment / static_cast<int64_t>(sizeof(T));
  return (count + line - 1) / line * line;
}

// Zero-filled memory on a cache-line boundary, of a size fixed at construction.
template <class T>
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(int64_t size) : size_(size) {
    if (size == 0) return;
    const int64_t bytes = checked_product(padded<T>(size), sizeof(T), "buffer size");
    data_ = {static_cast<T*>(allocate_zeroed(static_cast<size_t>(bytes))),
             Free{static_cast<size_t>(bytes)}};
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  int64_t bytes() const { return padded<T>(size_) * static_cast<int64_t>(sizeof(T)); }

 private:
  struct Free {
    size_t bytes = 0;
    void operator()(T* memory) const { deallocate(memory, bytes); }
  };
  std::unique_ptr<T, Free> data_;
  int64_t size_ = 0;
};

}  // namespace gd::base

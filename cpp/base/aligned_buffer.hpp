#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "base/check.hpp"

namespace gd::base {

inline constexpr int64_t kAlignment = 64;  // bytes: a cache line, and the widest vector

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
    void* memory = ::operator new(static_cast<size_t>(bytes), std::align_val_t(kAlignment));
    std::memset(memory, 0, static_cast<size_t>(bytes));
    data_.reset(static_cast<T*>(memory));
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  int64_t bytes() const { return padded<T>(size_) * static_cast<int64_t>(sizeof(T)); }

 private:
  struct Free {
    void operator()(T* memory) const { ::operator delete(memory, std::align_val_t(kAlignment)); }
  };
  std::unique_ptr<T, Free> data_;
  int64_t size_ = 0;
};

}  // namespace gd::base

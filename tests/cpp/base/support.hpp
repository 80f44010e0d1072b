#pragma once

// What the tests of every room share: numbers to work on, and equality to the last bit.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/philox.hpp"
#include "cpp/testing.hpp"

namespace gd::testing {

// A stream of its own for each test; the same numbers on every machine.
inline base::RandomStream random_stream(uint64_t seed) {
  return base::RandomStream(base::StreamPurpose::dropout, seed, 12345);
}

template <class T>
std::vector<T> normals(int64_t size, uint64_t seed, double deviation = 1.0) {
  base::RandomStream random = random_stream(seed);
  std::vector<T> values(static_cast<size_t>(size));
  for (T& value : values) value = static_cast<T>(deviation * random.normal());
  return values;
}

// Uniform in [low, high).
template <class T>
std::vector<T> uniforms(int64_t size, uint64_t seed, double low = 0.0, double high = 1.0) {
  base::RandomStream random = random_stream(seed);
  std::vector<T> values(static_cast<size_t>(size));
  for (T& value : values) value = static_cast<T>(low + (high - low) * random.uniform());
  return values;
}

inline std::vector<int64_t> labels_below(int64_t bound, int64_t size, uint64_t seed) {
  base::RandomStream random = random_stream(seed);
  std::vector<int64_t> labels(static_cast<size_t>(size));
  for (int64_t& label : labels) {
    label = static_cast<int64_t>(random.below(static_cast<uint64_t>(bound)));
  }
  return labels;
}

// Equal bits; which NaN it is does not count, as the library promises nothing there.
template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0 || (std::isnan(a) && std::isnan(b));
}

// Records a failure, and prints the first few only: a wrong kernel is wrong in thousands of places.
inline void fail_quietly(const char* file, int line, const std::string& what) {
  if (failures() < 20) {
    fail(file, line, what);
  } else {
    ++failures();
  }
}

// FNV-1a over the bytes of numbers: equal digests on two machines mean equal bits.
class Digest {
 public:
  template <class T>
  Digest& add(const T* values, int64_t size) {
    for (int64_t i = 0; i < size; ++i) {
      unsigned char bytes[sizeof(T)];
      std::memcpy(bytes, values + i, sizeof(T));
      for (const unsigned char byte : bytes) hash_ = (hash_ ^ byte) * 0x100000001b3;
    }
    return *this;
  }
  template <class T>
  Digest& add(const std::vector<T>& values) {
    return add(values.data(), static_cast<int64_t>(values.size()));
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;
};

inline std::string hex(uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(value));
  return text;
}

template <class T, class... Where>
void check_same(const char* file, int line, const T* got, const T* want, int64_t size,
                const Where&... where) {
  for (int64_t i = 0; i < size; ++i) {
    if (same_bits(got[i], want[i])) continue;
    fail_quietly(file, line, text(where..., ": [", i, "] is ", got[i], ", not ", want[i]));
    return;
  }
}

template <class T, class... Where>
void check_same(const char* file, int line, const std::vector<T>& got, const std::vector<T>& want,
                const Where&... where) {
  if (got.size() != want.size()) {
    fail_quietly(file, line, text(where..., ": ", got.size(), " elements, not ", want.size()));
    return;
  }
  check_same(file, line, got.data(), want.data(), static_cast<int64_t>(got.size()), where...);
}

}  // namespace gd::testing

// CHECK_SAME(got, want, [size,] where...): vectors or pointers, bit for bit.
#define CHECK_SAME(...) gd::testing::check_same(__FILE__, __LINE__, __VA_ARGS__)

// CHECK with words on where it happened, for loops over many cases.
#define CHECK_AT(condition, ...)                                                           \
  do {                                                                                     \
    if (!(condition))                                                                      \
      gd::testing::fail_quietly(__FILE__, __LINE__,                                        \
                                gd::testing::text("CHECK(" #condition ") ", __VA_ARGS__)); \
  } while (false)

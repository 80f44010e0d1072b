#pragma once

// Every instruction set against the scalar kernels: memory that ends at a forbidden page, numbers
// that are anything but ordinary, and the loop over tables and types.

#include <sys/mman.h>
#include <unistd.h>

#include <limits>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "cpp/base/support.hpp"
#include "kernels/dispatch.hpp"

namespace gd::testing {

// A table's floating-point mode for as long as it is in scope.
class Mode {
 public:
  explicit Mode(const kernels::KernelTable& table) : table_(table), state_(table.enter()) {}
  ~Mode() { table_.leave(state_); }
  Mode(const Mode&) = delete;
  Mode& operator=(const Mode&) = delete;

 private:
  const kernels::KernelTable& table_;
  uint64_t state_;
};

// body(isa, its kernels, the scalar kernels) for every table that runs here and both types. Scalar
// against scalar still shows reads and writes out of bounds.
template <class Body>
void for_every_table(Body body) {
  const kernels::KernelTable& scalar = *kernels::table_of("scalar");
  for (const std::string& isa : kernels::available_isas()) {
    const kernels::KernelTable& table = *kernels::table_of(isa);
    const Mode mode(table);
    body(isa + " float", table.f32, scalar.f32);
    body(isa + " double", table.f64, scalar.f64);
  }
}

// The scalar kernels of both types, in their mode.
template <class Body>
void for_scalar(Body body) {
  const kernels::KernelTable& scalar = *kernels::table_of("scalar");
  const Mode mode(scalar);
  body("float", scalar.f32);
  body("double", scalar.f64);
}

// (rows, cols) with `gap` elements between rows. The last element lies before a page that may not
// be touched, 16 elements lie before the first, and what is not of the matrix must never change.
template <class T>
class Matrix {
 public:
  explicit Matrix(int64_t most) : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
    const size_t needed = static_cast<size_t>(most + kMargin) * sizeof(T);
    bytes_ = (needed + page_ - 1) / page_ * page_;
    void* memory =
        mmap(nullptr, bytes_ + page_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    memory_ = static_cast<char*>(memory);
    mprotect(memory_ + bytes_, page_, PROT_NONE);
  }
  ~Matrix() { munmap(memory_, bytes_ + page_); }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;

  // Everything becomes kUntouched.
  Matrix& shape(int64_t rows, int64_t cols, int64_t gap = 0) {
    rows_ = rows;
    cols_ = cols;
    stride_ = cols + gap;
    const int64_t size = rows == 0 ? 0 : (rows - 1) * stride_ + cols;
    data_ = reinterpret_cast<T*>(memory_ + bytes_) - size;
    for (T* p = data_ - kMargin; p < data_ + size; ++p) *p = kUntouched;
    return *this;
  }

  Matrix& fill(const std::vector<T>& values) {
    size_t next = 0;
    for_elements([&](T& x) { x = values[next++ % values.size()]; });
    return *this;
  }

  T* data() { return data_; }
  int64_t stride() const { return stride_; }
  T& operator()(int64_t i, int64_t j) { return data_[i * stride_ + j]; }

  std::vector<T> values() {
    std::vector<T> all;
    for_elements([&](T& x) { all.push_back(x); });
    return all;
  }

  bool surroundings_untouched() const {
    for (int64_t i = 1; i <= kMargin; ++i) {
      if (data_[-i] != kUntouched) return false;
    }
    for (int64_t i = 0; i + 1 < rows_; ++i) {
      for (int64_t j = cols_; j < stride_; ++j) {
        if (data_[i * stride_ + j] != kUntouched) return false;
      }
    }
    return true;
  }

 private:
  static constexpr int64_t kMargin = 16;
  static constexpr T kUntouched = static_cast<T>(1234.5);

  template <class F>
  void for_elements(F f) {
    for (int64_t i = 0; i < rows_; ++i) {
      for (int64_t j = 0; j < cols_; ++j) f(data_[i * stride_ + j]);
    }
  }

  size_t page_;
  size_t bytes_ = 0;
  char* memory_ = nullptr;
  T* data_ = nullptr;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
  int64_t stride_ = 0;
};

// Zeros, infinities, NaN, denormals, the largest and smallest, and what is near exp's limits.
template <class T>
std::vector<T> special_values() {
  using Limits = std::numeric_limits<T>;
  const T low = Limits::min();
  const T tiny = Limits::denorm_min();
  const T infinity = Limits::infinity();
  std::vector<T> values = {0, infinity, Limits::quiet_NaN(), tiny, low / 3, low, Limits::max()};
  for (const double x : {1e-30, 1e-8, 0.5, 1.0, 4.0, 20.0, 30.5, 87.3, 88.7, 103.9, 708.4, 709.8,
                         745.2, 3e8, 1e30}) {
    values.push_back(static_cast<T>(x));
  }
  const size_t positive = values.size();
  for (size_t i = 0; i < positive; ++i) values.push_back(-values[i]);
  return values;
}

// Normals, with a special value in about every fourth place.
template <class T>
std::vector<T> mixed(int64_t size, uint64_t seed) {
  static const std::vector<T> specials = special_values<T>();
  std::vector<T> values = normals<T>(size, seed, 2.0);
  base::RandomStream random = random_stream(seed + 1'000'000);
  for (T& value : values) {
    if (random.below(4) == 0) value = specials[random.below(specials.size())];
  }
  return values;
}

// Typical values for the parameters a formula names; one half for a name not listed.
template <class T>
std::vector<T> parameters_of(const char* names) {
  static const std::map<std::string, double> typical = {
      {"alpha", 0.9},          {"beta", 1.25},     {"delta", 0.75},   {"label_smoothing", 0.1},
      {"negative_slope", 0.2}, {"lr", 0.01},       {"momentum", 0.9}, {"dampening", 0.1},
      {"weight_decay", 0.02},  {"nesterov", 1},    {"beta1", 0.9},    {"beta2", 0.99},
      {"eps", 1e-8},           {"amsgrad", 1},     {"lambd", 0.4},    {"min_val", -0.75},
      {"max_val", 1.5},        {"threshold", 0.3}, {"value", -0.2},   {"gamma", 2}};
  std::vector<T> values;
  std::istringstream list(names);
  for (std::string name; std::getline(list, name, ',');) {
    const auto found = typical.find(name);
    values.push_back(static_cast<T>(found == typical.end() ? 0.5 : found->second));
  }
  return values;
}

// Whether a loss can have so many outputs.
template <class T>
bool takes_outputs(const kernels::LossKernel<T>& loss, int64_t outputs) {
  return loss.parts == 0 || outputs % loss.parts == 0;
}

// Numbers for a loss's array, one an output.
template <class T>
std::vector<T> array_for(int64_t outputs) {
  return uniforms<T>(outputs, static_cast<uint64_t>(outputs) + 77, 0.1, 0.9);
}

}  // namespace gd::testing

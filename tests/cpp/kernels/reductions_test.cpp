// Sums over 16 virtual lanes, column sums, the test for finite numbers, and scaling.

#include <algorithm>
#include <cmath>

#include "cpp/kernels/support.hpp"

using gd::kernels::TypedKernels;
using gd::testing::Matrix;

namespace {

constexpr size_t kLong = size_t{1} << 14;

// The definition: element i joins lane i % 16, then halves of the lanes are added.
template <class T, class Join>
T lanes_of(const std::vector<T>& x, Join join) {
  T lanes[16] = {};
  // A last group that is not whole is filled up: what is joined there is zero.
  const size_t whole = (x.size() + 15) / 16 * 16;
  for (size_t i = 0; i < whole; ++i)
    lanes[i % 16] = join(lanes[i % 16], i < x.size() ? x[i] : T(0));
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

template <class T>
T lane_sum(const std::vector<T>& x) {
  return lanes_of(x, [](T lane, T value) { return lane + value; });
}

template <class T>
T lane_squares(const std::vector<T>& x) {
  return lanes_of(x, [](T lane, T value) { return std::fma(value, value, lane); });
}

// The definition of a long sum: parts of 2^14 elements, and pairs of them, and pairs of pairs.
template <class T, class Part>
T pairwise(const std::vector<T>& x, Part part) {
  std::vector<T> sums;
  for (size_t i = 0; i < x.size(); i += kLong) {
    sums.push_back(part(
        std::vector<T>(x.begin() + static_cast<std::ptrdiff_t>(i),
                       x.begin() + static_cast<std::ptrdiff_t>(std::min(i + kLong, x.size())))));
  }
  for (size_t width = 1; width < sums.size(); width *= 2) {
    for (size_t i = 0; i + width < sums.size(); i += 2 * width) sums[i] += sums[i + width];
  }
  return sums[0];
}

template <class T>
void column_sums(const std::string& isa, const TypedKernels<T>& kernels, int64_t rows,
                 int64_t cols) {
  Matrix<T> x(4096);
  Matrix<T> out(128);
  const auto seed = static_cast<uint64_t>(rows * 100 + cols);
  x.shape(rows, cols, 3).fill(gd::testing::mixed<T>(std::max<int64_t>(rows * cols, 1), seed));
  const std::vector<T> before = gd::testing::normals<T>(cols, seed + 1);
  for (const bool add : {false, true}) {
    std::vector<T> want;
    for (int64_t j = 0; j < cols; ++j) {
      T sum = 0;
      for (int64_t i = 0; i < rows; ++i) sum += x(i, j);
      want.push_back(add ? before[static_cast<size_t>(j)] + sum : sum);
    }
    out.shape(1, cols).fill(before);
    kernels.reduce.column_sum(rows, cols, x.data(), x.stride(), add, out.data());
    CHECK_SAME(out.values(), want, isa, " ", rows, "x", cols, add ? " added" : "");
    CHECK_AT(out.surroundings_untouched(), isa, " ", rows, "x", cols);
  }
}

}  // namespace

TEST(sums_go_over_sixteen_lanes) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        Matrix<T> x(256);
        for (int64_t size = 0; size <= 100; ++size) {
          for (const bool special : {false, true}) {
            const auto seed = static_cast<uint64_t>(size);
            const std::vector<T> values =
                special ? gd::testing::mixed<T>(size, seed) : gd::testing::normals<T>(size, seed);
            x.shape(1, size).fill(values);
            CHECK_AT(gd::testing::same_bits(kernels.reduce.sum(size, x.data()), lane_sum(values)),
                     isa, " sum of ", size);
            CHECK_AT(gd::testing::same_bits(kernels.reduce.sum_squares(size, x.data()),
                                            lane_squares(values)),
                     isa, " squares of ", size);
          }
        }
      });
}

TEST(long_sums_begin_anew_and_are_added_in_pairs) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& kernels,
                                           const TypedKernels<T>&) {
    for (const size_t size : {kLong, kLong + 1, 2 * kLong + 17, 5 * kLong, 7 * kLong - 3}) {
      const std::vector<T> x = gd::testing::normals<T>(static_cast<int64_t>(size), 6, 3.0);
      CHECK_AT(gd::testing::same_bits(kernels.reduce.sum(static_cast<int64_t>(size), x.data()),
                                      pairwise(x, lane_sum<T>)),
               isa, " sum of ", size);
      CHECK_AT(
          gd::testing::same_bits(kernels.reduce.sum_squares(static_cast<int64_t>(size), x.data()),
                                 pairwise(x, lane_squares<T>)),
          isa, " squares of ", size);
    }
    // One chain a lane would end far from it: 24 bits hold no more than 2^24 ones.
    const std::vector<T> tenths(size_t{3} << 20, T(0.1));
    const double want = static_cast<double>(tenths.size()) * static_cast<double>(T(0.1));
    const T sum = kernels.reduce.sum(static_cast<int64_t>(tenths.size()), tenths.data());
    CHECK_AT(std::abs(sum / want - 1) < 1024 * std::numeric_limits<T>::epsilon(), isa, sum);
  });
}

TEST(all_finite_finds_any_that_is_not) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        Matrix<T> x(256);
        using Limits = std::numeric_limits<T>;
        for (int64_t size = 0; size <= 70; ++size) {
          // The largest numbers are finite although their sum is not.
          x.shape(1, size);
          for (const T value : {T(0), -T(0), Limits::max(), Limits::denorm_min(), -Limits::max()}) {
            x.fill({value});
            CHECK_AT(kernels.reduce.all_finite(size, x.data()), isa, " ", size, " of ", value);
          }
          for (int64_t at = 0; at < size; ++at) {
            for (const T bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()}) {
              const T kept = x(0, at);
              x(0, at) = bad;
              CHECK_AT(!kernels.reduce.all_finite(size, x.data()), isa, " ", bad, " at ", at);
              x(0, at) = kept;
            }
          }
        }
      });
}

TEST(column_sums_are_chains_over_rows) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        for (const int64_t rows : {0, 1, 2, 7, 20}) {
          for (int64_t cols = 1; cols <= 70; ++cols) column_sums(isa, kernels, rows, cols);
        }
      });
}

TEST(scaling_multiplies_every_element) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        Matrix<T> x(128);
        for (int64_t size = 0; size <= 70; ++size) {
          std::vector<T> want = gd::testing::mixed<T>(size, static_cast<uint64_t>(size));
          x.shape(1, size).fill(want);
          for (T& value : want) value *= T(0.3);
          kernels.scale(size, T(0.3), x.data());
          CHECK_SAME(x.values(), want, isa, " ", size);
          CHECK_AT(x.surroundings_untouched(), isa, " ", size);
        }
      });
}

// Clipping a gradient by its norm, on teams of any size.

#include <cmath>
#include <limits>

#include "cpp/ops/support.hpp"
#include "ops/elementwise.hpp"

using gd::ops::ClipState;
using gd::ops::Worker;
using gd::parallel::Range;
using gd::testing::for_both_types;
using gd::testing::normals;

namespace {

// Clips x in place; the norm as every worker got it.
template <class T>
std::vector<double> clip(std::vector<T>& x, double max_norm, int workers, ClipState& state,
                         std::vector<Range> extents = {}) {
  if (extents.empty()) extents = {{0, static_cast<int64_t>(x.size())}};
  std::vector<double> norms(static_cast<size_t>(workers));
  state.reset();
  gd::testing::on_team(workers, [&](Worker& worker, gd::ops::TileQueue&) {
    norms[static_cast<size_t>(worker.index())] =
        gd::ops::clip_norm<T>(worker, state, max_norm, x.data(), {extents, {}});
  });
  return norms;
}

template <class T>
double norm_of(const std::vector<T>& x) {
  double squares = 0;
  for (const T value : x) squares += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(squares);
}

}  // namespace

TEST(a_norm_above_the_limit_is_taken_down_to_it) {
  for_both_types([]<class T>() {
    for (const int64_t size : {1, 4095, 4096, 3 * 4096 + 17}) {
      const std::vector<T> before = normals<T>(size, 1);
      const double norm = norm_of(before);
      const double limit = norm / 3;
      std::vector<T> want;
      for (const int workers : gd::testing::kWorkerCounts) {
        std::vector<T> x = before;
        ClipState state(size, workers);
        for (const double told : clip(x, limit, workers, state)) {
          CHECK_CLOSE(told, norm, 1e-6 * norm);
        }
        // PyTorch's formula keeps the norm a little below the limit.
        const double left = norm * (limit / (norm + 1e-6));
        CHECK_CLOSE(norm_of(x), left, 1e-5 * left);
        for (size_t i = 0; i < x.size(); ++i) {
          CHECK_AT(std::abs(x[i] - before[i] / 3) <= 1e-6 / norm + 1e-6, "size ", size);
        }
        if (workers == 1) want = x;
        CHECK_SAME(x, want, "size ", size, " workers ", workers);
      }
    }
  });
}

// Not where the norm alone would, but where it and PyTorch's 1e-6 together are above the limit.
TEST(a_norm_just_below_the_limit_is_scaled_as_pytorch_does) {
  const std::vector<double> before = {3e-3, 4e-3};
  for (const double above : {-5e-7, 0.0, 5e-7, 2e-6}) {
    std::vector<double> x = before;
    ClipState state(2, 1);
    clip(x, 5e-3 + above, 1, state);
    const double factor = std::min(1.0, (5e-3 + above) / (5e-3 + 1e-6));
    for (size_t i = 0; i < 2; ++i) CHECK_CLOSE(x[i], before[i] * factor, 1e-17);
  }
}

TEST(a_norm_within_the_limit_changes_nothing) {
  for_both_types([]<class T>() {
    const std::vector<T> before = normals<T>(10'000, 2);
    for (const int workers : gd::testing::kWorkerCounts) {
      std::vector<T> x = before;
      ClipState state(10'000, workers);
      clip(x, 1.001 * norm_of(before), workers, state);
      CHECK_SAME(x, before, "workers ", workers);
    }
  });
}

TEST(a_clip_can_be_used_again_and_again) {
  std::vector<float> x = normals<float>(10'000, 3);
  ClipState state(10'000, 3);
  for (const double limit : {50.0, 20.0, 5.0, 6.0}) clip(x, limit, 3, state);
  CHECK_CLOSE(norm_of(x), 5.0, 1e-4);
  std::vector<float> zeros(10'000, 0.0f);
  for (const double norm : clip(zeros, 1.0, 3, state)) CHECK_EQ(norm, 0.0);
  CHECK_SAME(zeros, std::vector<float>(10'000, 0.0f));
}

TEST(what_lies_in_gaps_is_neither_counted_nor_scaled) {
  for_both_types([]<class T>() {
    const std::vector<Range> extents = {{0, 5}, {16, 4100}, {4112, 4113}, {8192, 12'000}};
    const std::vector<T> before = normals<T>(12'000, 4);
    std::vector<T> packed;
    for (const Range& extent : extents) {
      packed.insert(packed.end(), before.begin() + extent.begin, before.begin() + extent.end);
    }
    const double norm = norm_of(packed);
    for (const int workers : gd::testing::kWorkerCounts) {
      std::vector<T> x(before.size(), std::numeric_limits<T>::quiet_NaN());
      for (const Range& e : extents) {
        std::copy(before.begin() + e.begin, before.begin() + e.end, x.begin() + e.begin);
      }
      ClipState state(12'000, workers);
      for (const double told : clip(x, norm / 2, workers, state, extents)) {
        CHECK_CLOSE(told, norm, 1e-6 * norm);
      }
      int64_t kept = 0;
      for (const T value : x) kept += std::isnan(value) ? 1 : 0;
      CHECK_EQ(kept, static_cast<int64_t>(x.size() - packed.size()));
      for (const Range& e : extents) {
        for (auto i = static_cast<size_t>(e.begin); i < static_cast<size_t>(e.end); ++i) {
          CHECK_AT(std::abs(x[i] - before[i] / 2) <= 1e-6 * std::abs(before[i]), "at ", i);
        }
      }
    }
  });
}

// Their squares overflow, or vanish: the norm is still that of the numbers.
TEST(norms_beyond_the_root_of_the_largest_number_are_right) {
  for_both_types([]<class T>() {
    const std::vector<T> unit = normals<T>(5000, 5);
    const double norm = norm_of(unit);
    for (const double scale : {sizeof(T) == 4 ? 1e30 : 1e250, sizeof(T) == 4 ? 1e-30 : 1e-250}) {
      std::vector<T> want;
      for (const int workers : gd::testing::kWorkerCounts) {
        std::vector<T> x = unit;
        for (T& value : x) value = static_cast<T>(value * scale);
        ClipState state(5000, workers);
        // Far above the 1e-6 of PyTorch's formula, or far below it: there no norm matters.
        const double limit = scale * norm / 4;
        for (const double told : clip(x, limit, workers, state)) {
          if (scale > 1) CHECK_CLOSE(told, scale * norm, 1e-5 * scale * norm);
        }
        const double factor = limit / (scale * norm + 1e-6);
        for (size_t i = 0; i < x.size(); ++i) {
          const double expected = static_cast<double>(unit[i]) * scale * factor;
          CHECK_AT(std::abs(static_cast<double>(x[i]) - expected) <=
                       1e-5 * std::abs(expected) + std::numeric_limits<T>::min(),
                   "at ", i);
        }
        if (workers == 1) want = x;
        CHECK_SAME(x, want, "workers ", workers);
      }
    }
  });
}

TEST(what_is_not_finite_stays_so) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x = normals<float>(5000, 6);
    x[4500] = bad;
    ClipState state(5000, 2);
    for (const double norm : clip(x, 1.0, 2, state)) CHECK(!std::isfinite(norm));
    CHECK(!std::isfinite(x[4500]));
  }
}

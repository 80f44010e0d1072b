// Clipping a gradient by its norm, on teams of any size.

#include <cmath>

#include "cpp/ops/support.hpp"
#include "ops/elementwise.hpp"

using gd::ops::ClipState;
using gd::ops::Worker;
using gd::testing::for_both_types;
using gd::testing::normals;

namespace {

// Clips x in place; the norm as every worker got it.
template <class T>
std::vector<double> clip(std::vector<T>& x, double max_norm, int workers, ClipState& state) {
  std::vector<double> norms(static_cast<size_t>(workers));
  state.reset();
  gd::testing::on_team(workers, [&](Worker& worker, gd::ops::TileQueue&) {
    norms[static_cast<size_t>(worker.index())] = gd::ops::clip_norm<T>(worker, state, max_norm, x);
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

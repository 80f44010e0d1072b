// Which rows of a sparse matrix a gradient is of, and passes over them.

#include "ops/seen_rows.hpp"

#include "base/panels.hpp"
#include "cpp/ops/support.hpp"
#include "ops/elementwise.hpp"

using gd::ops::Seen;
using gd::ops::SeenRows;
using gd::parallel::Range;

namespace {

std::vector<int64_t> rows_of(const SeenRows& seen, int64_t begin, int64_t end) {
  std::vector<int64_t> rows;
  seen.for_each(begin, end, [&](int64_t row) { rows.push_back(row); });
  return rows;
}

constexpr int64_t kOffset = 48;

// Elements of the flat buffer that are of seen rows, as they lie in panels.
std::vector<int64_t> elements_of(const std::vector<int64_t>& rows, int64_t all, int64_t cols) {
  std::vector<int64_t> elements;
  for (const int64_t row : rows) {
    for (int64_t j = 0; j < cols; ++j) {
      elements.push_back(kOffset + gd::base::panel_index(all, cols, row, j));
    }
  }
  std::ranges::sort(elements);
  return elements;
}

}  // namespace

TEST(rows_are_seen_and_forgotten) {
  const std::vector<int64_t> seen_rows = {0, 1, 63, 64, 127, 129, 199};
  SeenRows seen(0, 200, 5, 5);
  CHECK(rows_of(seen, 0, 200).empty());
  for (const int64_t row : seen_rows) seen.see(row);
  seen.see(64);
  CHECK(rows_of(seen, 0, 200) == seen_rows);
  CHECK(rows_of(seen, 1, 128) == (std::vector<int64_t>{1, 63, 64, 127}));
  CHECK(rows_of(seen, 128, 129).empty());
  CHECK(rows_of(seen, 199, 200) == std::vector<int64_t>{199});
  CHECK_EQ(seen.granules(), 4);
  std::vector<int64_t> forgotten;
  seen.forget({1, 2}, [&](int64_t row) { forgotten.push_back(row); });
  CHECK(forgotten == (std::vector<int64_t>{64, 127}));
  CHECK(rows_of(seen, 0, 200) == (std::vector<int64_t>{0, 1, 63, 129, 199}));
  seen.forget({0, 4}, [](int64_t) {});
  CHECK(rows_of(seen, 0, 200).empty());
}

TEST(runs_are_the_elements_of_seen_rows_and_no_others) {
  const std::vector<int64_t> rows = {0, 3, 4, 64, 99};
  for (const int64_t cols : {1, 7, 32, 33, 70}) {
    SeenRows seen(kOffset, 100, cols, gd::base::kPanel);
    for (const int64_t row : rows) seen.see(row);
    const std::vector<int64_t> want = elements_of(rows, 100, cols);
    for (const int64_t piece : {1, 10, 64, 100'000}) {
      std::vector<int64_t> got;
      for (int64_t begin = 0; begin < kOffset + 100 * cols; begin += piece) {
        seen.for_runs({begin, begin + piece}, [&](Range run) {
          for (int64_t i = run.begin; i < run.end; ++i) got.push_back(i);
        });
      }
      CHECK_AT(got == want, cols, " in pieces of ", piece);
    }
    std::vector<int64_t> pieces;
    for (const int64_t row : rows) {
      seen.for_pieces(row, [&](int64_t begin, int64_t size) {
        for (int64_t i = begin; i < begin + size; ++i) pieces.push_back(i);
      });
    }
    std::ranges::sort(pieces);
    CHECK_AT(pieces == want, cols);
  }
}

// Nothing is read or written where no row was seen: what stands there would show.
TEST(a_norm_is_that_of_what_was_seen) {
  gd::testing::for_both_types([]<class T>() {
    constexpr int64_t kRows = 3000, kCols = 8, kDense = 40;
    gd::ops::SparseTables tables;
    tables.push_back(std::make_unique<SeenRows>(kOffset, kRows, kCols, kCols));
    std::vector<T> flat(kOffset + kRows * kCols, std::numeric_limits<T>::quiet_NaN());
    const std::vector<T> numbers = gd::testing::normals<T>(kRows * kCols, 1);
    std::copy_n(numbers.data(), kDense, flat.data());
    double squares = 0;
    for (int64_t i = 0; i < kDense; ++i) {
      const auto value = static_cast<double>(flat[static_cast<size_t>(i)]);
      squares += value * value;
    }
    for (int64_t row = 2; row < kRows; row += 37) {
      tables.front()->see(row);
      for (int64_t j = 0; j < kCols; ++j) {
        const T value = numbers[static_cast<size_t>(row * kCols + j)];
        flat[static_cast<size_t>(kOffset + row * kCols + j)] = value;
        squares += static_cast<double>(value) * static_cast<double>(value);
      }
    }
    const Range dense{0, kDense};
    const Seen seen{{&dense, 1}, tables};
    CHECK_EQ(seen.end(), kOffset + kRows * kCols);
    std::vector<T> want;
    for (const int workers : gd::testing::kWorkerCounts) {
      std::vector<T> x = flat;
      gd::ops::ClipState state(seen.end(), workers);
      state.reset();
      double norm = 0;
      gd::testing::on_team(workers, [&](gd::ops::Worker& worker, gd::ops::TileQueue&) {
        const double found = gd::ops::clip_norm<T>(worker, state, 1.0, x.data(), seen);
        if (worker.index() == 0) norm = found;
      });
      CHECK_CLOSE(norm, std::sqrt(squares), 1e-5 * norm);
      if (want.empty()) want = x;
      CHECK_SAME(x, want, "workers ", workers);
      double left = 0;
      int64_t untouched = 0;
      for (const T value : x) {
        if (std::isnan(value)) {
          ++untouched;
        } else {
          left += static_cast<double>(value) * static_cast<double>(value);
        }
      }
      CHECK_CLOSE(left, 1.0, 1e-4);
      CHECK_EQ(untouched, std::ranges::count_if(flat, [](T value) { return std::isnan(value); }));
    }
  });
}

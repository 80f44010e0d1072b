// Lookups and sums by code: every instruction set against plain loops, bit for bit.

#include <cmath>

#include "cpp/kernels/support.hpp"

using gd::kernels::TableEntry;
using gd::kernels::TypedKernels;
using gd::testing::Matrix;

namespace {

constexpr int64_t kWidths[] = {1, 3, 4, 8, 15, 16, 17, 31, 32, 64, 65, 100};

}  // namespace

TEST(every_instruction_set_looks_up_the_same_rows) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        constexpr int64_t kRows = 5, kCodes = 7;
        for (const int64_t width : kWidths) {
          for (const bool is_large : {false, true}) {
            const std::vector<T> parameters = gd::testing::normals<T>(3 + kCodes * (width + 2), 1);
            const gd::kernels::LookupTable tables[] = {{3, width, 0, is_large},
                                                       {3 + kCodes * width, 2, width, !is_large}};
            Matrix<T> codes(64), y(4096);
            std::vector<T> drawn;
            for (const int64_t code : gd::testing::labels_below(kCodes, 2 * kRows, 2)) {
              drawn.push_back(static_cast<T>(code));
            }
            codes.shape(kRows, 2, 1).fill(drawn);
            y.shape(kRows, width + 2, 3);
            kernels.tables.lookup({kRows, 2, tables, parameters.data(), codes.data(),
                                   codes.stride(), y.data(), y.stride()});
            CHECK(y.surroundings_untouched());
            std::vector<T> want;
            for (int64_t i = 0; i < kRows; ++i) {
              for (int64_t k = 0; k < 2; ++k) {
                const auto code = static_cast<int64_t>(drawn[static_cast<size_t>(2 * i + k)]);
                const T* const row = parameters.data() + tables[k].offset + code * tables[k].width;
                want.insert(want.end(), row, row + tables[k].width);
              }
            }
            CHECK_SAME(y.values(), want, isa, " ", width);
          }
        }
      });
}

TEST(every_instruction_set_adds_up_entries_in_order) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        constexpr int64_t kRows = 9;
        for (const int64_t width : kWidths) {
          const std::vector<T> start = gd::testing::normals<T>(width, 4);
          Matrix<T> from(4096), to(512);
          from.shape(kRows, width, 2).fill(gd::testing::normals<T>(kRows * width, 3));
          const TableEntry entries[] = {{0, 2}, {0, 3}, {0, 3}, {0, 8}, {0, 0}};
          for (const int64_t count : {1, 2, 5}) {
            for (const bool add : {false, true}) {
              to.shape(1, width).fill(start);
              kernels.tables.entry_sum(
                  {count, entries, width, from.data(), from.stride(), add, to.data()});
              CHECK(to.surroundings_untouched());
              std::vector<T> want;
              for (int64_t j = 0; j < width; ++j) {
                T sum = 0;
                for (int64_t e = 0; e < count; ++e) {
                  sum += from.data()[static_cast<int64_t>(entries[e].row) * from.stride() + j];
                }
                want.push_back(add ? start[static_cast<size_t>(j)] + sum : sum);
              }
              CHECK_SAME(to.values(), want, isa, " ", width, " of ", count);
            }
          }
        }
      });
}

TEST(every_instruction_set_adds_up_weighted_entries_in_order) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& kernels,
                                           const TypedKernels<T>&) {
    constexpr int64_t kRows = 9;
    for (const int64_t width : kWidths) {
      Matrix<T> from(4096), to(512);
      from.shape(kRows, width, 2).fill(gd::testing::normals<T>(kRows * width, 3));
      const gd::kernels::WeightedEntry<T> entries[] = {
          {0, 2, T(0.5)}, {0, 3, T(-1.3)}, {0, 8, T(0.1)}};
      to.shape(1, width).fill(gd::testing::normals<T>(width, 4));
      const std::vector<T> start = to.values();
      kernels.tables.weighted_sum({3, entries, width, from.data(), from.stride(), true, to.data()});
      CHECK(to.surroundings_untouched());
      std::vector<T> want;
      for (int64_t j = 0; j < width; ++j) {
        T sum = 0;
        for (const auto& entry : entries) {
          sum = std::fma(entry.weight, from(static_cast<int64_t>(entry.row), j), sum);
        }
        want.push_back(start[static_cast<size_t>(j)] + sum);
      }
      CHECK_SAME(to.values(), want, isa, " ", width);
    }
  });
}

TEST(every_instruction_set_multiplies_sparse_rows_alike) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        constexpr int64_t kInputs = 6;
        const int32_t columns[] = {0, 2, 2, 5};
        const T values[] = {T(0.3), T(-1), T(2.5), T(0.7)};
        for (const int64_t units : {1, 7, 16, 33, 64, 75, 141}) {
          const std::vector<T> weight = gd::testing::normals<T>(kInputs * units, 1);
          const std::vector<T> bias = gd::testing::normals<T>(units, 2);
          for (const int64_t count : {0, 1, 4}) {
            for (const bool has_bias : {false, true}) {
              Matrix<T> y(256);
              y.shape(1, units);
              kernels.tables.sparse_row({count, columns, values, units, weight.data(),
                                         has_bias ? bias.data() : nullptr, y.data()});
              CHECK(y.surroundings_untouched());
              std::vector<T> want;
              for (int64_t u = 0; u < units; ++u) {
                T sum = 0;
                for (int64_t e = 0; e < count; ++e) {
                  const int64_t at = columns[e] * units + u;
                  sum = std::fma(values[e], weight[static_cast<size_t>(at)], sum);
                }
                want.push_back(has_bias ? sum + bias[static_cast<size_t>(u)] : sum);
              }
              CHECK_SAME(y.values(), want, isa, " ", units, " of ", count);
            }
          }
        }
      });
}

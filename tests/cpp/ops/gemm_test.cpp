// Matmul against its definition, bit for bit, whoever shares the work and however it is cut.

#include "ops/gemm.hpp"

#include "cpp/ops/products.hpp"
#include "ops/gemm_units.hpp"
#include "parallel/partition.hpp"

using gd::ops::GemmTiles;
using gd::testing::kWorkerCounts;
using gd::testing::Product;
using gd::testing::ProductShape;

namespace {

template <class T>
void check(const ProductShape& shape) {
  const Product<T> product(shape);
  const std::vector<T> want = product.expected();
  for (const int workers : kWorkerCounts) {
    CHECK_SAME(product.run(workers), want, shape.name(), " workers ", workers);
  }
  const int64_t mc = gd::kernels::kernels().of<T>().blocks.mc;  // the most rows that share a B
  const int blocks = std::max(12, static_cast<int>((shape.m + mc - 1) / mc));
  for (const GemmTiles tiles :
       {GemmTiles{1, 4}, GemmTiles{3, 2}, GemmTiles{7, 1}, GemmTiles{blocks, 1, true}}) {
    CHECK_SAME(product.run(3, &tiles), want, shape.name(), " tiles ", tiles.rows, "x",
               tiles.columns);
  }
}

void check_both(const ProductShape& shape) {
  gd::testing::for_both_types([&]<class T>() { check<T>(shape); });
}

}  // namespace

TEST(gemm_of_any_shape_and_transpose_is_its_chains) {
  constexpr ProductShape shapes[] = {{1, 1, 1},    {1, 7, 3},    {5, 1, 9},    {16, 32, 64},
                                     {33, 65, 40}, {3, 200, 40}, {200, 3, 40}, {97, 70, 31},
                                     {0, 5, 3},    {5, 0, 3}};
  for (ProductShape shape : shapes) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        for (const int64_t gap : {0, 5}) {
          shape.transpose_a = transpose_a;
          shape.transpose_b = transpose_b;
          shape.gap = gap;
          check_both(shape);
        }
      }
    }
  }
}

// Larger than the cache blocks of every instruction set in one direction each.
TEST(gemm_beyond_the_cache_blocks_is_its_chains) {
  for (const bool transpose : {false, true}) {
    for (ProductShape shape : {ProductShape{290, 150, 6}, ProductShape{9, 2100, 5},
                               ProductShape{9, 40, 1100}, ProductShape{340, 20, 7}}) {
      shape.transpose_a = shape.transpose_b = transpose;
      check_both(shape);
    }
  }
}

// Rows a kilobyte apart are copied, others are read where they lie.
TEST(gemm_with_rows_a_power_of_two_apart_is_its_chains) {
  check_both({.m = 20, .n = 300, .k = 250, .gap = 6});
  check_both({.m = 20, .n = 300, .k = 250, .gap = 7});
}

TEST(gemm_of_nothing_is_the_bias) {
  check_both({.m = 13, .n = 17, .k = 0});
  check_both({.m = 13, .n = 17, .k = 0, .bias = true});
  check_both({.m = 13, .n = 17, .k = 0, .part = 256, .accumulate = true, .bias = true});
}

// Of many products chains begin anew, of very many their sums too; what follows a product still
// does.
TEST(gemm_of_long_sums_begins_anew) {
  using gd::ops::kLongestChain;
  using gd::ops::kLongSum;
  for (const bool transpose : {false, true}) {
    for (const int64_t k : {kLongestChain, kLongestChain + 1, 3 * kLongestChain + 777}) {
      check_both({.m = 3, .n = 5, .k = k, .transpose_a = transpose, .transpose_b = transpose});
      check_both({.m = 3, .n = 40, .k = k, .transpose_b = transpose, .b_panels = true});
    }
  }
  const int64_t k = kLongSum + 1500;
  check_both({.m = 2, .n = 2, .k = k, .bias = true, .activation = "tanh"});
  check_both({.m = 1, .n = 2, .k = k, .part = 256, .activation = "gelu", .backward = true});
  const int64_t longer = 2 * kLongSum + 5;
  check_both({.m = 2, .n = 1, .k = longer, .bias = true, .activation = "relu", .in_place = true});
  check_both({.m = 1, .n = 2, .k = longer, .part = 256, .accumulate = true, .c_panels = true});
}

// Chains begin anew at every part, are added in order, and go on from what is there.
TEST(gemm_in_parts_restarts_its_chains) {
  for (const int64_t k : {1, 7, 8, 9, 255, 256, 257, 600, 1500}) {
    for (const int64_t part : {8, 256}) {
      for (const bool accumulate : {false, true}) {
        check_both({.m = 19, .n = 35, .k = k, .gap = 2, .part = part, .accumulate = accumulate});
        check_both({.m = 9,
                    .n = 40,
                    .k = k,
                    .transpose_a = true,
                    .part = part,
                    .accumulate = accumulate,
                    .bias = true});
      }
    }
  }
}

TEST(gemm_applies_its_epilogue_after_the_last_product) {
  for (const char* activation : {"relu", "gelu", "tanh", "elu"}) {
    for (const int64_t k : {3, 1100}) {
      check_both({.m = 21, .n = 45, .k = k, .gap = 3, .bias = true, .activation = activation});
      check_both({.m = 21, .n = 45, .k = k, .activation = activation, .in_place = true});
      check_both({.m = 21,
                  .n = 45,
                  .k = k,
                  .gap = 1,
                  .part = 256,
                  .activation = activation,
                  .backward = true});
    }
  }
}

TEST(gemm_of_random_problems_is_its_chains) {
  gd::base::RandomStream random = gd::testing::random_stream(21);
  const auto below = [&](uint64_t bound) { return static_cast<int64_t>(random.below(bound)); };
  const char* const activations[] = {"", "", "silu", "softplus"};
  for (int i = 0; i < 60; ++i) {
    ProductShape shape{1 + below(70), 1 + below(140), below(70)};
    shape.transpose_a = below(2) == 1;
    shape.transpose_b = below(2) == 1;
    shape.gap = below(4);
    shape.part = below(2) == 0 ? 0 : 1 + below(40);
    shape.accumulate = shape.part > 0 && below(2) == 1;
    shape.bias = below(2) == 1;
    shape.activation = activations[below(4)];
    shape.backward = below(2) == 1;
    shape.in_place = !shape.backward && below(2) == 1;
    check_both(shape);
  }
}

// As the weights of a network lie: read going forward and, transposed, back.
TEST(gemm_of_panels_is_its_chains) {
  for (ProductShape shape :
       {ProductShape{1, 1, 1}, ProductShape{5, 32, 33}, ProductShape{40, 64, 9},
        ProductShape{97, 70, 95}, ProductShape{9, 1100, 300}, ProductShape{340, 20, 600}}) {
    for (const bool transposed : {false, true}) {
      for (const bool gap : {false, true}) {
        shape.transpose_b = transposed;
        shape.gap = gap ? 3 : 0;
        shape.b_panels = true;
        shape.bias = !transposed;
        shape.part = transposed ? 256 : 0;
        shape.activation = transposed ? "relu" : "tanh";
        shape.backward = transposed;
        check_both(shape);
      }
    }
  }
}

// As their gradients do, kept or handed over piece by piece.
TEST(gemm_into_panels_is_its_chains) {
  for (ProductShape shape :
       {ProductShape{1, 1, 1}, ProductShape{33, 10, 5}, ProductShape{340, 70, 64},
        ProductShape{60, 1100, 20}, ProductShape{30, 40, 600}}) {
    for (const int64_t part : {16, 256}) {
      for (const bool consumed : {false, true}) {
        shape.transpose_a = true;
        shape.part = part;
        shape.c_panels = true;
        shape.consumed = consumed;
        shape.accumulate = false;
        check_both(shape);
        shape.accumulate = !consumed;
        check_both(shape);
      }
    }
  }
}

// Rows do not see each other: the first row of a product is the product of that row. Operands are
// drawn row by row, so both have the same first row of A and the same B.
TEST(gemm_of_one_row_is_that_row) {
  gd::testing::for_both_types([]<class T>() {
    constexpr int64_t n = 70;
    const std::vector<T> all = Product<T>({.m = 40, .n = n, .k = 300, .bias = true}).run(3);
    const std::vector<T> one = Product<T>({.m = 1, .n = n, .k = 300, .bias = true}).run(1);
    CHECK_SAME(all.data(), one.data(), n, "row 0");
  });
}

namespace {

// Whether the buffers for a product hold the blocks of one that is no larger in any direction.
template <class T, class Unit>
void check_scratch(const Unit& unit, int products) {
  gd::base::RandomStream random = gd::testing::random_stream(31);
  const auto below = [&](int64_t bound) {
    return static_cast<int64_t>(random.below(static_cast<uint64_t>(bound)));
  };
  for (int turn = 0; turn < 20000; ++turn) {
    const int64_t m = 1 + below(5000), n = 1 + below(200),
                  k = 1 + below(turn % 2 == 0 ? 300 : 5000);
    const gd::ops::GemmScratchSize size =
        gd::ops::gemm_scratch_size<T>(m + below(3000), n + below(2000), k + below(3000), products);
    const auto& blocks = unit.blocks;
    const int64_t depth = std::min(k, unit.depth(m, k));
    const int64_t rows = std::min(m, unit.rows(depth));
    const auto bytes = [&](int64_t panels, int64_t width) {
      return panels * unit.panel(depth, width) *
             static_cast<int64_t>(sizeof(typename Unit::Packed));
    };
    constexpr auto element = static_cast<int64_t>(sizeof(T));
    const int64_t columns = std::min(n, blocks.nc);
    CHECK_AT(bytes(gd::ops::ceil_div(rows, blocks.mr), blocks.mr) <= size.a * element &&
                 bytes(gd::ops::ceil_div(columns, blocks.nr), blocks.nr) <= size.b * element &&
                 rows * std::min(n, gd::base::kPanel) <= size.piece,
             m, " ", n, " ", k, " products ", products);
  }
}

}  // namespace

TEST(gemm_scratch_holds_smaller_products) {
  gd::testing::for_both_types([]<class T>() { check_scratch<T>(gd::ops::TileUnit<T>(), 0); });
  if (gd::kernels::kernels().bf16 == nullptr) return;
  for (const int products : {1, 3}) check_scratch<float>(gd::ops::Bf16Unit(products), products);
}

TEST(gemm_tiles_cover_the_product_once) {
  gd::testing::for_both_types([]<class T>() {
    const auto& blocks = gd::kernels::kernels().of<T>().blocks;
    for (const int64_t m : {0, 1, 3, 64, 130, 1000}) {
      for (const int64_t n : {0, 1, 10, 128, 500, 4096}) {
        for (const int64_t k : {0, 1, 64, 1000}) {
          for (const int workers : {1, 2, 3, 5, 16}) {
            const GemmTiles tiles = gd::ops::gemm_tiles<T>(m, n, k, workers);
            CHECK_AT(tiles.rows >= 1 && tiles.columns >= 1, m, " ", n, " ", k, " ", workers);
            if (workers == 1) CHECK_AT(tiles.count() == 1, m, " ", n, " ", k);
            if (tiles.share_b) CHECK_AT(tiles.columns == 1, m, " ", n, " ", k, " ", workers);
            int64_t covered = 0;
            for (int i = 0; i < tiles.rows; ++i) {
              if (tiles.share_b) {  // A's packing buffer holds one cache block
                CHECK_AT(gd::parallel::split(m, tiles.rows, i, blocks.mr).size() <= blocks.mc, m,
                         " ", n, " ", k, " ", workers);
              }
              for (int j = 0; j < tiles.columns; ++j) {
                covered += gd::parallel::split(m, tiles.rows, i, blocks.mr).size() *
                           gd::parallel::split(n, tiles.columns, j, gd::base::kPanel).size();
              }
            }
            CHECK_AT(covered == m * n, m, " ", n, " ", k, " ", workers);
          }
        }
      }
    }
  });
}

TEST(gemm_tiles_feed_every_worker_of_a_large_product) {
  gd::testing::for_both_types([]<class T>() {
    for (const int workers : {2, 3, 5, 16}) {
      CHECK(gd::ops::gemm_tiles<T>(512, 512, 512, workers).count() >= workers);
      CHECK(gd::ops::gemm_tiles<T>(1, 4096, 4096, workers).count() >= workers);
      CHECK(gd::ops::gemm_tiles<T>(4096, 1, 4096, workers).count() >= workers);
      CHECK_EQ(gd::ops::gemm_tiles<T>(8, 8, 8, workers).count(), 1);
    }
  });
}

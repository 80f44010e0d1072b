// Products through bfloat16 against double, and against themselves cut otherwise. The kernel for
// tiles runs in emulation everywhere, and on the hardware where there is any.

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpp/kernels/bf16_support.hpp"

using gd::kernels::Bf16Kernels;
using gd::kernels::Bf16Pack;
using gd::kernels::Bf16Tile;
using gd::kernels::Chain;
using gd::testing::Matrix;
using gd::testing::PanelOrder;

namespace {

constexpr int64_t kDepths[] = {0, 1, 2, 5, 31, 32, 33, 70};
constexpr Chain kChains[] = {Chain::start, Chain::go_on, Chain::add_part};

// A (mr, depth), B (depth, nr), C before (mr, nr), bias (nr,).
struct Operands {
  std::vector<float> a, b, c, bias;
};

// How C is made of them.
struct Way {
  int64_t depth;
  int rows;
  int cols;
  int products;
  Chain chain;
  bool bias;
};

class TileTest {
 public:
  TileTest(const Bf16Kernels& unit, const PanelOrder& order_a, const PanelOrder& order_b)
      : unit_(unit),
        order_a_(order_a),
        order_b_(order_b),
        a_(1 << 14),
        b_(1 << 14),
        c_(1 << 12),
        before_(1 << 12),
        bias_(64) {}

  int64_t mr() const { return unit_.blocks.mr; }
  int64_t nr() const { return unit_.blocks.nr; }

  // close(got, want, magnitude, way): magnitude is the sum of the absolute values of all terms.
  // Panels, C and bias end at forbidden pages.
  template <class Close>
  void run(const Operands& from, const Way& way, Close close) {
    Bf16Tile tile{};
    tile.depth = unit_.panel_size(way.depth, 1);
    tile.products = way.products;
    tile.a_low =
        pack(a_, order_a_, {way.depth, way.rows, from.a.data(), 1, way.depth, nullptr, 0}, way);
    tile.b_low = pack(b_, order_b_, {way.depth, way.cols, from.b.data(), nr(), 1, nullptr, 0}, way);
    tile.a = a_.data();
    tile.b = b_.data();
    c_.shape(way.rows, way.cols, 3);
    before_.shape(way.rows, way.cols, 5);
    const bool apart = (way.rows + way.cols + way.depth) % 2 == 0;  // what C was lies elsewhere
    for (int i = 0; i < way.rows; ++i) {
      for (int j = 0; j < way.cols; ++j) {
        before_(i, j) = from.c[static_cast<size_t>(i * nr() + j)];
        c_(i, j) = apart ? std::numeric_limits<float>::quiet_NaN() : before_(i, j);
      }
    }
    bias_.shape(1, way.cols).fill(from.bias);
    tile.c = c_.data();
    tile.ldc = c_.stride();
    tile.before = apart ? before_.data() : nullptr;
    tile.ld_before = before_.stride();
    tile.ahead = apart ? b_.data() : nullptr;
    tile.rows = way.rows;
    tile.cols = way.cols;
    tile.bias = way.bias ? bias_.data() : nullptr;
    tile.chain = way.chain;
    unit_.gemm(tile);
    bool right = c_.surroundings_untouched();
    for (int i = 0; i < way.rows; ++i) {
      for (int j = 0; j < way.cols; ++j) right = right && element(from, way, i, j, close);
    }
    CHECK_AT(right, unit_.unit, " ", way.rows, "x", way.cols, " depth ", way.depth, " products ",
             way.products, " chain ", static_cast<int>(way.chain), way.bias ? " bias" : "");
  }

 private:
  int64_t pack(Matrix<uint16_t>& panel, const PanelOrder& order, Bf16Pack block, const Way& way) {
    panel.shape(way.products == 3 ? 2 : 1, order.size(way.depth), 8);
    block.to = panel.data();
    block.low = way.products == 3 ? panel.stride() : 0;
    gd::testing::pack_plainly(block, order);
    return block.low;
  }

  template <class Close>
  bool element(const Operands& from, const Way& way, int i, int j, Close close) {
    double want = 0;
    double magnitude = 0;
    const auto add = [&](double term) {
      want += term;
      magnitude += std::abs(term);
    };
    for (int64_t k = 0; k < way.depth; ++k) {
      add(static_cast<double>(from.a[static_cast<size_t>(i * way.depth + k)]) *
          static_cast<double>(from.b[static_cast<size_t>(k * nr() + j)]));
    }
    if (way.chain != Chain::start)
      add(static_cast<double>(from.c[static_cast<size_t>(i * nr() + j)]));
    if (way.bias) add(static_cast<double>(from.bias[static_cast<size_t>(j)]));
    return close(static_cast<double>(c_(i, j)), want, magnitude);
  }

  const Bf16Kernels& unit_;
  PanelOrder order_a_, order_b_;
  Matrix<uint16_t> a_, b_;
  Matrix<float> c_, before_, bias_;
};

// Each size of C with each depth; products, chains and bias take turns.
template <class Body>
void for_all_tails(const TileTest& test, Body body) {
  int turn = 0;
  for (const int64_t depth : kDepths) {
    for (int rows = 1; rows <= test.mr(); ++rows) {
      for (int cols = 1; cols <= test.nr(); ++cols, ++turn) {
        body(Way{depth, rows, cols, turn % 2 == 0 ? 1 : 3, kChains[turn / 2 % 3],
                 turn / 6 % 2 == 0});
      }
      ++turn;
    }
  }
}

// All ways to make a whole tile and one with tails.
template <class Body>
void for_all_ways(const TileTest& test, Body body) {
  const int mr = static_cast<int>(test.mr());
  const int nr = static_cast<int>(test.nr());
  for (const int64_t depth : kDepths) {
    for (const int products : {1, 3}) {
      for (const Chain chain : kChains) {
        for (const bool bias : {false, true}) {
          body(Way{depth, mr, nr, products, chain, bias});
          body(Way{depth, mr - 3, nr - 7, products, chain, bias});
          body(Way{depth, (mr + 1) / 2, nr / 2, products, chain, bias});
        }
      }
    }
  }
}

// Integers up to `most`.
std::vector<float> integers(int64_t size, uint64_t seed, double most) {
  std::vector<float> values = gd::testing::uniforms<float>(size, seed, -most, most);
  for (float& value : values) value = std::nearbyint(value);
  return values;
}

// C = A B (+ before) as a caller would do it: cut at these rows and columns, in blocks of the
// depth, packed from a transposed A and a B as it lies, or the other way round.
struct Product {
  int64_t m, n, k;
  std::vector<float> a, b;  // (m, k), (k, n)
  int products;
  int64_t block;  // of the depth
  Chain later;    // how blocks after the first continue
};

std::vector<float> multiply(const Bf16Kernels& unit, const Product& p,
                            const std::vector<int64_t>& row_cuts,
                            const std::vector<int64_t>& column_cuts) {
  std::vector<float> c(static_cast<size_t>(p.m * p.n), -1.0f);
  const int64_t mr = unit.blocks.mr;
  const int64_t nr = unit.blocks.nr;
  for (int64_t k0 = 0; k0 < p.k; k0 += p.block) {
    const int64_t depth = std::min(p.block, p.k - k0);
    const int64_t size_a = unit.panel_size(depth, mr);
    const int64_t size_b = unit.panel_size(depth, nr);
    std::vector<uint16_t> a(static_cast<size_t>(2 * size_a));
    std::vector<uint16_t> b(static_cast<size_t>(2 * size_b));
    for (size_t row = 0; row + 1 < row_cuts.size(); ++row) {
      for (int64_t i = row_cuts[row]; i < row_cuts[row + 1]; i += mr) {
        const int64_t rows = std::min(mr, row_cuts[row + 1] - i);
        unit.pack_a({depth, rows, p.a.data() + i * p.k + k0, 1, p.k, a.data(),
                     p.products == 3 ? size_a : 0});
        for (size_t column = 0; column + 1 < column_cuts.size(); ++column) {
          for (int64_t j = column_cuts[column]; j < column_cuts[column + 1]; j += nr) {
            const int64_t cols = std::min(nr, column_cuts[column + 1] - j);
            unit.pack_b({depth, cols, p.b.data() + k0 * p.n + j, p.n, 1, b.data(),
                         p.products == 3 ? size_b : 0});
            unit.gemm({unit.panel_size(depth, 1), a.data(), size_a, b.data(), size_b, p.products,
                       c.data() + i * p.n + j, p.n, static_cast<int>(rows), static_cast<int>(cols),
                       nullptr, k0 == 0 ? Chain::start : p.later});
          }
        }
      }
    }
  }
  return c;
}

double relative_error(const Product& p, const std::vector<float>& c) {
  double difference = 0;
  double norm = 0;
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      double want = 0;
      for (int64_t k = 0; k < p.k; ++k) {
        want += static_cast<double>(p.a[static_cast<size_t>(i * p.k + k)]) *
                static_cast<double>(p.b[static_cast<size_t>(k * p.n + j)]);
      }
      const double off = static_cast<double>(c[static_cast<size_t>(i * p.n + j)]) - want;
      difference += off * off;
      norm += want * want;
    }
  }
  return std::sqrt(difference / norm);
}

Product random_product(int64_t m, int64_t n, int64_t k, int products, int64_t block, Chain later) {
  return {m,
          n,
          k,
          gd::testing::normals<float>(m * k, 51),
          gd::testing::normals<float>(k * n, 52),
          products,
          block,
          later};
}

}  // namespace

// Integers of 8 bits are their own high part, those of 12 have a low part too; all sums stay below
// 2^24. So there is nothing to round, in whatever order a unit adds.
TEST(bf16_tiles_are_exact_on_small_integers) {
  const auto exact = [](double got, double want, double) { return got == want; };
  gd::testing::for_every_bf16_unit(
      [&](const Bf16Kernels& unit, const PanelOrder& order_a, const PanelOrder& order_b) {
        TileTest test(unit, order_a, order_b);
        const int64_t most = 70 * 32;
        const auto c = integers(32 * 32, 3, 1000);
        const auto bias = integers(32, 4, 1000);
        const Operands narrow = {integers(most, 1, 127), integers(most, 2, 127), c, bias};
        const Operands wide_a = {integers(most, 5, 4000), integers(most, 6, 15), c, bias};
        const Operands wide_b = {integers(most, 7, 15), integers(most, 8, 4000), c, bias};
        for_all_tails(test, [&](const Way& way) {
          test.run(way.products == 1 ? narrow : (way.cols % 4 < 2 ? wide_a : wide_b), way, exact);
        });
        for_all_ways(test, [&](const Way& way) {
          test.run(narrow, way, exact);
          if (way.products == 1) return;
          test.run(wide_a, way, exact);
          test.run(wide_b, way, exact);
        });
      });
}

// Per term a b, with u = 2^-8 the most that rounding to bfloat16 takes off or adds:
//   1 product:  (1 + u)^2 - 1 = 2 u + u^2;
//   3 products: low * low is left out (u^2), and each operand misses its rest (u^2 each), which
//               meets the other one's high + low: 3 u^2 (1 + 2 u) in all.
// Products of bfloat16 are exact in float32. Each of the products * depth terms, of C and of the
// bias goes into a sum once, and each sum is off by at most 2^-23 of itself, even where a unit cuts
// instead of rounding; no sum is larger than (1 + u)^2 times all terms' absolute values.
TEST(bf16_tiles_are_as_near_as_their_products_allow) {
  gd::testing::for_every_bf16_unit(
      [](const Bf16Kernels& unit, const PanelOrder& order_a, const PanelOrder& order_b) {
        TileTest test(unit, order_a, order_b);
        const Operands from = {
            gd::testing::normals<float>(70 * 32, 11), gd::testing::normals<float>(70 * 32, 12),
            gd::testing::normals<float>(32 * 32, 13), gd::testing::normals<float>(32, 14)};
        for_all_ways(test, [&](const Way& way) {
          const double u = 0x1p-8;
          const double parts = way.products == 1 ? 2 * u + u * u : 3 * u * u * (1 + 2 * u);
          const auto sums = static_cast<double>(way.products * way.depth + 4);
          const double bound = parts + sums * 0x1p-23 * (1 + u) * (1 + u);
          test.run(from, way, [bound](double got, double want, double magnitude) {
            return std::abs(got - want) <= bound * magnitude;
          });
        });
      });
}

// Rounding to 8 bits is off by u / sqrt(3) of the power of two below, 0.0016 of the number in mean
// square; errors of two operands and random signs make 0.0023. Of three products, low * low and the
// two rests are missing, 0.0016^2 each: 4.5e-6.
TEST(bf16_products_have_the_promised_errors_in_norm) {
  gd::testing::for_every_bf16_unit(
      [](const Bf16Kernels& unit, const PanelOrder&, const PanelOrder&) {
        const auto error = [&](int products) {
          const Product p = random_product(40, 50, 300, products, 64, Chain::go_on);
          return relative_error(p, multiply(unit, p, {0, 40}, {0, 50}));
        };
        CHECK_AT(std::abs(error(1) - 0.0023) < 0.0003, unit.unit, " ", error(1));
        CHECK_AT(std::abs(error(3) - 4.5e-6) < 0.5e-6, unit.unit, " ", error(3));
      });
}

TEST(bf16_products_do_not_depend_on_how_c_is_cut) {
  gd::testing::for_every_bf16_unit(
      [](const Bf16Kernels& unit, const PanelOrder&, const PanelOrder&) {
        for (const int products : {1, 3}) {
          for (const Chain later : {Chain::go_on, Chain::add_part}) {
            const Product p = random_product(45, 75, 101, products, 64, later);
            const auto whole = multiply(unit, p, {0, 45}, {0, 75});
            const auto check = [&](const std::vector<int64_t>& rows,
                                   const std::vector<int64_t>& columns) {
              CHECK_SAME(multiply(unit, p, rows, columns), whole, unit.unit, products);
            };
            check({0, 1, 2, 16, 33, 45}, {0, 75});
            check({0, 45}, {0, 5, 16, 37, 69, 75});
            check({0, 14, 28, 42, 45}, {0, 32, 64, 75});
            check({0, 7, 40, 45}, {0, 1, 33, 34, 75});
          }
        }
      });
}

// A block of the depth that ends within a chain leaves no trace where one product is taken.
TEST(bf16_chains_go_on_where_they_were) {
  gd::testing::for_every_bf16_unit(
      [](const Bf16Kernels& unit, const PanelOrder&, const PanelOrder&) {
        const Product whole = random_product(20, 40, 160, 1, 160, Chain::go_on);
        Product cut = whole;
        cut.block = 64;
        CHECK_SAME(multiply(unit, cut, {0, 20}, {0, 40}), multiply(unit, whole, {0, 20}, {0, 40}),
                   unit.unit);
      });
}

TEST(bf16_tiles_pass_infinity_and_nan_on) {
  const float infinity = std::numeric_limits<float>::infinity();
  gd::testing::for_every_bf16_unit(
      [&](const Bf16Kernels& unit, const PanelOrder&, const PanelOrder&) {
        for (const int products : {1, 3}) {
          for (const float odd : {infinity, -infinity, std::nanf("")}) {
            Product p = random_product(3, 4, 5, products, 64, Chain::go_on);
            p.a[5 + 2] = odd;  // of row 1
            const auto c = multiply(unit, p, {0, 3}, {0, 4});
            for (size_t i = 0; i < c.size(); ++i) {
              CHECK_AT(std::isfinite(c[i]) == (i / 4 != 1), unit.unit, products, odd, i);
            }
            if (products == 1 && std::isinf(odd)) {
              CHECK_AT(std::isinf(c[4]) && (c[4] > 0) == (odd * p.b[8] > 0), unit.unit, odd);
            }
          }
        }
      });
}

TEST(bf16_units_fit_their_blocks) {
  gd::testing::for_every_bf16_unit(
      [](const Bf16Kernels& unit, const PanelOrder& order_a, const PanelOrder& order_b) {
        const auto& blocks = unit.blocks;
        CHECK_AT(blocks.mc % blocks.mr == 0 && blocks.nc % blocks.nr == 0, unit.unit);
        CHECK_AT(blocks.kc % unit.depth_step == 0 && 256 % unit.depth_step == 0, unit.unit);
        CHECK_AT(unit.most_products == 1 || unit.most_products == 3, unit.unit);
        CHECK_EQ(order_a.width, blocks.mr);
        CHECK_EQ(order_b.width, blocks.nr);
        CHECK_EQ(order_a.size(33), unit.panel_size(33, blocks.mr));
        CHECK_EQ(order_b.size(33), unit.panel_size(33, blocks.nr));
      });
}

TEST(bf16_peak_counts_its_operations) {
  gd::testing::for_every_bf16_unit(
      [](const Bf16Kernels& unit, const PanelOrder&, const PanelOrder&) {
        float sink = 0;
        const int64_t flops = unit.peak(10, &sink);
        CHECK_AT(flops >= 640 && unit.peak(20, &sink) == 2 * flops, unit.unit);
        CHECK_AT(std::isfinite(sink) && sink != 0, unit.unit);
      });
}

TEST(tiles_are_configured_once_and_released_by_whom_they_were) {
  using gd::testing::EmulatedTiles;
  const int before = EmulatedTiles::configured();
  const bool outer = gd::kernels::enter_tiles<EmulatedTiles>();
  const bool inner = gd::kernels::enter_tiles<EmulatedTiles>();
  CHECK(outer && !inner);
  CHECK_EQ(EmulatedTiles::configured(), before + 1);
  gd::kernels::leave_tiles<EmulatedTiles>(inner);
  CHECK_EQ(static_cast<int>(EmulatedTiles::configuration().palette), 1);
  gd::kernels::leave_tiles<EmulatedTiles>(outer);
  CHECK_EQ(static_cast<int>(EmulatedTiles::configuration().palette), 0);

  // Somebody else left tiles of another shape behind.
  auto other = gd::kernels::kWholeTiles;
  other.rows[0] = 3;
  EmulatedTiles::configure(other);
  const bool entered = gd::kernels::enter_tiles<EmulatedTiles>();
  CHECK(entered);
  CHECK_EQ(static_cast<int>(EmulatedTiles::configuration().rows[0]), 16);
  gd::kernels::leave_tiles<EmulatedTiles>(entered);
}

// The register tile of every instruction set against chains of std::fma.

#include <cmath>
#include <limits>

#include "cpp/kernels/support.hpp"

using gd::kernels::Chain;
using gd::kernels::Finish;
using gd::kernels::GemmTile;
using gd::kernels::TypedKernels;
using gd::testing::Matrix;

namespace {

constexpr int64_t kDepths[] = {0, 1, 2, 3, 17, 64, 130};
constexpr Chain kChains[] = {Chain::start, Chain::go_on, Chain::add_part};
constexpr Finish kFinishes[] = {Finish::none, Finish::relu, Finish::relu_gradient};

// What one tile is made from: A (mr, depth), B (depth, nr), C before (mr, nr), bias (nr,), and
// relu's output (mr, nr).
template <class T>
struct Operands {
  Operands(int64_t mr, int64_t nr, int64_t depth, uint64_t seed, double scale)
      : depth_(depth),
        nr_(nr),
        a(gd::testing::normals<T>(mr * std::max<int64_t>(depth, 1), seed, scale)),
        b(gd::testing::normals<T>(nr * std::max<int64_t>(depth, 1), seed + 1, scale)),
        c(gd::testing::normals<T>(mr * nr, seed + 2, scale * scale)),
        bias(gd::testing::normals<T>(nr, seed + 3, scale * scale)),
        saved(gd::testing::normals<T>(mr * nr, seed + 4, 1.0)) {
    saved[0] = 0;
  }

  T element(int64_t i, int64_t j, Chain chain, bool with_bias, Finish finish) const {
    const T before = c[static_cast<size_t>(i * nr_ + j)];
    T sum = chain == Chain::go_on ? before : T(0);
    for (int64_t k = 0; k < depth_; ++k) {
      sum = std::fma(a[static_cast<size_t>(i * depth_ + k)], b[static_cast<size_t>(k * nr_ + j)],
                     sum);
    }
    if (chain == Chain::add_part) sum = before + sum;
    if (with_bias) sum += bias[static_cast<size_t>(j)];
    if (finish == Finish::relu) return sum > 0 ? sum : T(0);
    if (finish == Finish::none || saved[static_cast<size_t>(i * nr_ + j)] > 0) return sum;
    return T(0);
  }

  int64_t depth_, nr_;
  std::vector<T> a, b, c, bias, saved;
};

// A as the tile reads it: packed (k, i) with mr between columns, or as it lies with a gap.
template <class T>
void lay_out_a(Matrix<T>& to, const Operands<T>& from, int rows, int64_t mr, bool packed,
               GemmTile<T>& tile) {
  const int64_t depth = from.depth_;
  if (packed) {
    to.shape(depth, rows, mr - rows);
  } else {
    to.shape(rows, depth, 3);
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < depth; ++k) {
      (packed ? to(k, i) : to(i, k)) = from.a[static_cast<size_t>(i * depth + k)];
    }
  }
  tile.a = to.data();
  tile.a_row = packed ? 1 : to.stride();
  tile.a_depth = packed ? to.stride() : 1;
}

template <class T>
class TileTest {
 public:
  TileTest(const std::string& isa, const TypedKernels<T>& kernels)
      : isa_(isa),
        gemm_(kernels.gemm),
        mr_(kernels.blocks.mr),
        nr_(kernels.blocks.nr),
        a_(140 * 80),
        b_(140 * 80),
        c_(80 * 80),
        before_(80 * 80),
        bias_(80),
        saved_(80 * 80) {}

  void run(int64_t depth, double scale) {
    const Operands<T> from(mr_, nr_, depth, static_cast<uint64_t>(100 + depth), scale);
    for (const Chain chain : kChains) {
      for (const bool with_bias : {false, true}) {
        for (const Finish finish : kFinishes) run(from, chain, with_bias, finish);
      }
    }
  }

 private:
  void run(const Operands<T>& from, Chain chain, bool with_bias, Finish finish) {
    std::vector<T> want;
    for (int64_t i = 0; i < mr_ * nr_; ++i) {
      want.push_back(from.element(i / nr_, i % nr_, chain, with_bias, finish));
    }
    for (const bool packed : {false, true}) {
      for (int rows = 1; rows <= mr_; ++rows) {
        for (int cols = 1; cols <= nr_; ++cols) {
          tile(from, want, chain, with_bias, finish, packed, rows, cols);
        }
      }
    }
  }

  void tile(const Operands<T>& from, const std::vector<T>& want, Chain chain, bool with_bias,
            Finish finish, bool packed, int rows, int cols) {
    GemmTile<T> tile{};
    tile.depth = from.depth_;
    lay_out_a(a_, from, rows, mr_, packed, tile);
    b_.shape(from.depth_, cols, 5);
    for (int64_t k = 0; k < from.depth_; ++k) {
      for (int64_t j = 0; j < cols; ++j) b_(k, j) = from.b[static_cast<size_t>(k * nr_ + j)];
    }
    c_.shape(rows, cols, 2);
    before_.shape(rows, cols, 4);
    saved_.shape(rows, cols, 1);
    const bool apart = (rows + cols) % 2 == 0;  // what C was lies elsewhere
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        before_(i, j) = from.c[static_cast<size_t>(i * nr_ + j)];
        c_(i, j) = apart ? std::numeric_limits<T>::quiet_NaN() : before_(i, j);
        saved_(i, j) = from.saved[static_cast<size_t>(i * nr_ + j)];
      }
    }
    bias_.shape(1, cols).fill(from.bias);
    tile.b = b_.data();
    tile.b_depth = b_.stride();
    tile.c = c_.data();
    tile.ldc = c_.stride();
    tile.before = apart ? before_.data() : nullptr;
    tile.ld_before = before_.stride();
    tile.ahead = apart ? b_.data() : nullptr;
    tile.rows = rows;
    tile.cols = cols;
    tile.bias = with_bias ? bias_.data() : nullptr;
    tile.chain = chain;
    tile.finish = finish;
    if (finish == Finish::relu_gradient) {
      tile.saved = saved_.data();
      tile.lds = saved_.stride();
    }
    gemm_(tile);
    bool same = c_.surroundings_untouched();
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        same = same && gd::testing::same_bits(c_(i, j), want[static_cast<size_t>(i * nr_ + j)]);
      }
    }
    CHECK_AT(same, isa_, " ", rows, "x", cols, " depth ", from.depth_, " chain ",
             static_cast<int>(chain), with_bias ? " bias" : "", packed ? " packed" : "", " finish ",
             static_cast<int>(finish));
  }

  std::string isa_;
  void (*gemm_)(const GemmTile<T>&);
  int mr_;
  int nr_;
  Matrix<T> a_, b_, c_, before_, bias_, saved_;
};

}  // namespace

TEST(gemm_tiles_are_chains_of_fused_multiply_adds) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        TileTest<T> test(isa, kernels);
        for (const int64_t depth : kDepths) test.run(depth, 1.0);
      });
}

// Products and sums around the smallest normal number, where the mode decides.
TEST(gemm_tiles_flush_denormals_alike) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        TileTest<T> test(isa, kernels);
        test.run(5, std::sqrt(std::numeric_limits<T>::min()));
      });
}

TEST(gemm_tiles_pass_infinity_and_nan_on) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        const T infinity = std::numeric_limits<T>::infinity();
        const T a[] = {infinity, 1, 0};
        const T b[] = {1, 2, -infinity};  // (1, 3)
        for (int i = 0; i < 3; ++i) {
          T c[3] = {};
          kernels.gemm(
              {1, a + i, 1, 1, b, 3, c, 3, 1, 3, nullptr, Chain::start, Finish::none, nullptr, 0});
          for (int j = 0; j < 3; ++j)
            CHECK_AT(gd::testing::same_bits(c[j], a[i] * b[j]), isa, i, j);
        }
      });
}

TEST(blocks_fit_their_tiles) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        const auto& blocks = kernels.blocks;
        CHECK_AT(blocks.mr >= 1 && blocks.nr >= 1, isa);
        CHECK_AT(blocks.mc >= blocks.mr && blocks.mc % blocks.mr == 0, isa);
        CHECK_AT(blocks.nc >= blocks.nr && blocks.nc % blocks.nr == 0, isa);
        CHECK_AT(blocks.kc >= 256, isa);  // parts of split sums are never cut
      });
}

TEST(peak_counts_its_operations) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        T sink = 0;
        const int64_t flops = kernels.fma_peak(10, &sink);
        CHECK_AT(flops >= 20 && flops % 20 == 0, isa);
        CHECK_AT(kernels.fma_peak(20, &sink) == 2 * flops, isa);
        CHECK_AT(std::isfinite(sink) && sink != 0, isa);
      });
}

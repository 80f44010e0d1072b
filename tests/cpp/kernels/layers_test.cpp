// Normalization of rows and dropout: every instruction set against the scalar kernels, bit for bit,
// and against the formulas.

#include <cmath>

#include "cpp/kernels/support.hpp"

using gd::kernels::TypedKernels;
using gd::testing::Matrix;

namespace {

template <class T>
struct Normed {
  std::vector<T> y, stats, each, gx;
};

template <class T>
Normed<T> normed(const TypedKernels<T>& kernels, int64_t rows, int64_t cols, bool centered,
                 bool affine) {
  const auto seed = static_cast<uint64_t>(100 * rows + cols);
  Matrix<T> x(4096), y(4096), stats(64), g(4096), each(4096), gx(4096), gamma(1024), beta(1024);
  x.shape(rows, cols, 3).fill(gd::testing::normals<T>(rows * cols, seed, 2.0));
  g.shape(rows, cols, 1).fill(gd::testing::normals<T>(rows * cols, seed + 1));
  gamma.shape(1, cols).fill(gd::testing::normals<T>(cols, seed + 2));
  beta.shape(1, cols).fill(gd::testing::normals<T>(cols, seed + 3));
  y.shape(rows, cols, 2);
  stats.shape(rows, 2, 1);
  each.shape(rows, cols);
  gx.shape(rows, cols, 5);
  const T* const scale = affine ? gamma.data() : nullptr;
  kernels.layers.norm_forward({rows, cols, centered, T(1e-5), x.data(), x.stride(), scale,
                               affine && centered ? beta.data() : nullptr, y.data(), y.stride(),
                               stats.data(), stats.stride()});
  kernels.layers.norm_backward({rows, cols, centered, x.data(), x.stride(), scale, stats.data(),
                                stats.stride(), g.data(), g.stride(), each.data(), each.stride(),
                                gx.data(), gx.stride()});
  for (const Matrix<T>* written : {&y, &stats, &each, &gx}) {
    CHECK(written->surroundings_untouched());
  }
  return {y.values(), stats.values(), each.values(), gx.values()};
}

}  // namespace

TEST(every_instruction_set_normalizes_alike) {
  gd::testing::for_every_table([](const std::string& isa, const auto& kernels, const auto& scalar) {
    for (const int64_t cols : {1, 2, 7, 15, 16, 17, 64, 100, 1000}) {
      for (const bool centered : {true, false}) {
        for (const bool affine : {true, false}) {
          const auto got = normed(kernels, 4, cols, centered, affine);
          const auto want = normed(scalar, 4, cols, centered, affine);
          CHECK_SAME(got.y, want.y, isa, " ", cols);
          CHECK_SAME(got.stats, want.stats, isa, " ", cols);
          CHECK_SAME(got.each, want.each, isa, " ", cols);
          CHECK_SAME(got.gx, want.gx, isa, " ", cols);
        }
      }
    }
  });
}

TEST(every_instruction_set_leaves_out_the_same) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& kernels,
                                           const TypedKernels<T>& scalar) {
    for (const int64_t cols : {1, 15, 16, 63, 64, 65, 1000}) {
      const auto drawn = [&](const TypedKernels<T>& by) {
        Matrix<T> x(8192), y(8192);
        x.shape(5, cols, 3).fill(gd::testing::normals<T>(5 * cols, 1));
        y.shape(5, cols, 1);
        gd::kernels::DropoutRows<T> p{};
        p.rows = 5;
        p.cols = cols;
        p.x = x.data();
        p.ldx = x.stride();
        p.y = y.data();
        p.ldy = y.stride();
        p.scale = T(1.25);
        p.threshold = uint32_t{1} << 30;
        p.key[0] = 3;
        p.step = 8;
        p.layer = 2;
        p.first_row = (int64_t{1} << 24) - 2;  // beyond what one word of the counter holds
        by.layers.dropout(p);
        return y.values();
      };
      CHECK_SAME(drawn(kernels), drawn(scalar), isa, " ", cols);
    }
  });
}

TEST(normalized_rows_have_mean_zero_and_variance_one) {
  gd::testing::for_scalar([](const char*, const auto& kernels) {
    const auto got = normed(kernels, 3, 500, true, false);
    for (size_t row = 0; row < 3; ++row) {
      double sum = 0, squares = 0;
      for (size_t j = row * 500; j < (row + 1) * 500; ++j) {
        sum += static_cast<double>(got.y[j]);
        squares += static_cast<double>(got.y[j]) * static_cast<double>(got.y[j]);
      }
      CHECK_CLOSE(sum / 500, 0.0, 1e-6);
      CHECK_CLOSE(squares / 500, 1.0, 1e-4);
    }
  });
}

// Normalization of rows, dropout and waves: every instruction set against the scalar kernels, bit
// for bit, and against the formulas.

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

namespace {

template <class T>
struct Waved {
  std::vector<T> y, each_weight, each_phase, gx;
};

template <class T>
Waved<T> waved(const TypedKernels<T>& kernels, int64_t features, int64_t frequencies, bool phase) {
  constexpr int64_t kRows = 3;
  const int64_t count = features * frequencies, wide = phase ? count : 2 * count;
  const auto seed = static_cast<uint64_t>(features * 100 + frequencies);
  Matrix<T> x(512), w(1024), b(1024), y(4096), g(4096), by_weight(4096), by_phase(4096), gx(512);
  x.shape(kRows, features, 2).fill(gd::testing::normals<T>(kRows * features, seed, 3.0));
  w.shape(1, count).fill(gd::testing::normals<T>(count, seed + 1, 2.0));
  b.shape(1, count).fill(gd::testing::normals<T>(count, seed + 2));
  g.shape(kRows, wide, 1).fill(gd::testing::normals<T>(kRows * wide, seed + 3));
  y.shape(kRows, wide, 3);
  by_weight.shape(kRows, count, 1);
  by_phase.shape(kRows, count);
  gx.shape(kRows, features, 5);
  gd::kernels::PeriodicGradientRows<T> p{};
  p.of = {
      kRows,    features,  frequencies, x.data(), x.stride(), w.data(), phase ? b.data() : nullptr,
      y.data(), y.stride()};
  kernels.layers.periodic_forward(p.of);
  p.g = g.data();
  p.ldg = g.stride();
  p.each_weight = by_weight.data();
  p.ldw = by_weight.stride();
  p.each_phase = phase ? by_phase.data() : nullptr;
  p.ldp = by_phase.stride();
  p.gx = gx.data();
  p.ldgx = gx.stride();
  kernels.layers.periodic_backward(p);
  for (const Matrix<T>* written : {&y, &by_weight, &by_phase, &gx}) {
    CHECK(written->surroundings_untouched());
  }
  return {y.values(), by_weight.values(), phase ? by_phase.values() : std::vector<T>(),
          gx.values()};
}

}  // namespace

TEST(every_instruction_set_makes_the_same_waves) {
  gd::testing::for_every_table([](const std::string& isa, const auto& kernels, const auto& scalar) {
    for (const int64_t frequencies : {1, 2, 7, 15, 16, 17, 48, 65}) {
      for (const bool phase : {true, false}) {
        const auto got = waved(kernels, 5, frequencies, phase);
        const auto want = waved(scalar, 5, frequencies, phase);
        CHECK_SAME(got.y, want.y, isa, " ", frequencies);
        CHECK_SAME(got.each_weight, want.each_weight, isa, " ", frequencies);
        CHECK_SAME(got.each_phase, want.each_phase, isa, " ", frequencies);
        CHECK_SAME(got.gx, want.gx, isa, " ", frequencies);
      }
    }
  });
}

TEST(waves_are_cosines_and_sines_to_the_last_digits) {
  gd::testing::for_scalar([]<class T>(const char*, const TypedKernels<T>& kernels) {
    gd::base::RandomStream random = gd::testing::random_stream(7);
    const double most = 1.1 * static_cast<double>(std::numeric_limits<T>::epsilon());
    for (int i = 0; i < 20'000; ++i) {
      const T one = 1;
      // Turns of all sizes, and quarters exactly.
      const double turns = i % 10 == 0 ? static_cast<double>(i % 80) / 8
                                       : std::ldexp(2 * random.uniform() - 1, i % 16 - 4);
      const T t = static_cast<T>(turns);
      T y[2];
      kernels.layers.periodic_forward({1, 1, 1, &one, 1, &t, nullptr, y, 2});
      const long double angle = 2 * 3.14159265358979323846264L * std::fmod((long double)t, 1.0L);
      CHECK_AT(std::abs(static_cast<double>(y[0] - std::cos(angle))) <= most, turns, " ", y[0]);
      CHECK_AT(std::abs(static_cast<double>(y[1] - std::sin(angle))) <= most, turns, " ", y[1]);
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

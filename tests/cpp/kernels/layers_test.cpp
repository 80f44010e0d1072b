// Normalization of rows and columns, dropout, sums, waves: every instruction set against the scalar
// kernels, bit for bit, and against the formulas.

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
  Matrix<T> x(40960), y(40960), stats(128), g(40960), each(40960), gx(40960);
  Matrix<T> gamma(1024), beta(1024);
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
          // One by one; and several at once with some left over.
          for (const int64_t rows : {1, 37}) {
            const auto got = normed(kernels, rows, cols, centered, affine);
            const auto want = normed(scalar, rows, cols, centered, affine);
            CHECK_SAME(got.y, want.y, isa, " ", cols);
            CHECK_SAME(got.stats, want.stats, isa, " ", cols);
            CHECK_SAME(got.each, want.each, isa, " ", cols);
            CHECK_SAME(got.gx, want.gx, isa, " ", cols);
          }
        }
      }
    }
  });
}

namespace {

template <class T>
struct Columns {
  std::vector<T> mean, var, y, plain, tilted, gx, fixed;
};

template <class T>
Columns<T> normed_columns(const TypedKernels<T>& kernels, int64_t rows, int64_t cols, int64_t part,
                          bool affine) {
  const auto seed = static_cast<uint64_t>(100 * rows + cols);
  Matrix<T> x(65536), y(65536), g(65536);
  Matrix<T> mean(1024), var(1024), root(1024), gamma(1024), beta(1024), plain(1024), tilted(1024);
  x.shape(rows, cols, 3).fill(gd::testing::normals<T>(rows * cols, seed, 2.0));
  gamma.shape(1, cols).fill(gd::testing::normals<T>(cols, seed + 2));
  beta.shape(1, cols).fill(gd::testing::normals<T>(cols, seed + 3));
  root.shape(1, cols).fill(gd::testing::uniforms<T>(cols, seed + 4, 0.5, 2.0));
  y.shape(rows, cols, 2);
  for (Matrix<T>* each : {&mean, &var, &plain, &tilted}) each->shape(1, cols);
  const T* const scale = affine ? gamma.data() : nullptr;
  const auto& by = kernels.layers;
  by.column_moments({rows, cols, part, x.data(), x.stride()}, mean.data(), var.data());
  by.column_norm({rows, cols, x.data(), x.stride(), mean.data(), root.data(), scale,
                  affine ? beta.data() : nullptr, y.data(), y.stride()});
  const auto gradient = [&](bool with_sums) {
    g.shape(rows, cols, 1).fill(gd::testing::normals<T>(rows * cols, seed + 1));
    const gd::kernels::ColumnGradientRows<T> p{rows,       cols,        part,        x.data(),
                                               x.stride(), mean.data(), root.data(), scale,
                                               g.data(),   g.stride()};
    by.column_slopes(p, plain.data(), tilted.data());
    by.column_gradient(p, with_sums ? plain.data() : nullptr, with_sums ? tilted.data() : nullptr);
    CHECK(g.surroundings_untouched());
    return g.values();
  };
  Columns<T> all;
  all.gx = gradient(true);
  all.fixed = gradient(false);
  for (const Matrix<T>* written : {&mean, &var, &y, &plain, &tilted}) {
    CHECK(written->surroundings_untouched());
  }
  all.mean = mean.values();
  all.var = var.values();
  all.y = y.values();
  all.plain = plain.values();
  all.tilted = tilted.values();
  return all;
}

}  // namespace

TEST(every_instruction_set_normalizes_columns_alike) {
  gd::testing::for_every_table([](const std::string& isa, const auto& kernels, const auto& scalar) {
    for (const int64_t cols : {1, 2, 7, 16, 17, 31, 32, 33, 64, 100}) {
      for (const int64_t rows : {1, 2, 9, 20}) {
        for (const bool affine : {true, false}) {
          const auto got = normed_columns(kernels, rows, cols, 8, affine);
          const auto want = normed_columns(scalar, rows, cols, 8, affine);
          CHECK_SAME(got.mean, want.mean, isa, " ", rows, " x ", cols);
          CHECK_SAME(got.var, want.var, isa, " ", rows, " x ", cols);
          CHECK_SAME(got.y, want.y, isa, " ", rows, " x ", cols);
          CHECK_SAME(got.plain, want.plain, isa, " ", rows, " x ", cols);
          CHECK_SAME(got.tilted, want.tilted, isa, " ", rows, " x ", cols);
          CHECK_SAME(got.gx, want.gx, isa, " ", rows, " x ", cols);
          CHECK_SAME(got.fixed, want.fixed, isa, " ", rows, " x ", cols);
        }
      }
    }
  });
}

// A column is a chain of its own, wherever it lies.
TEST(columns_do_not_see_each_other) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& kernels,
                                           const TypedKernels<T>&) {
    constexpr int64_t rows = 20, cols = 45;
    Matrix<T> x(1024), mean(64), var(64), one_mean(1), one_var(1);
    x.shape(rows, cols, 3).fill(gd::testing::normals<T>(rows * cols, 1));
    mean.shape(1, cols);
    var.shape(1, cols);
    kernels.layers.column_moments({rows, cols, 8, x.data(), x.stride()}, mean.data(), var.data());
    for (int64_t j = 0; j < cols; ++j) {
      one_mean.shape(1, 1);
      one_var.shape(1, 1);
      kernels.layers.column_moments({rows, 1, 8, x.data() + j, x.stride()}, one_mean.data(),
                                    one_var.data());
      CHECK_EQ(one_mean(0, 0), mean(0, j));
      CHECK_EQ(one_var(0, 0), var(0, j));
    }
    CHECK_AT(mean.surroundings_untouched(), isa);
  });
}

TEST(every_instruction_set_adds_and_scales_alike) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& kernels,
                                           const TypedKernels<T>& scalar) {
    for (const int64_t cols : {1, 7, 8, 16, 33}) {
      const auto made = [&](const TypedKernels<T>& by) {
        Matrix<T> a(512), b(512), to(512);
        a.shape(5, cols, 3).fill(gd::testing::mixed<T>(5 * cols, 1));
        b.shape(5, cols, 2).fill(gd::testing::mixed<T>(5 * cols, 2));
        to.shape(5, cols, 1);
        by.layers.add(
            {5, cols, a.data(), a.stride(), b.data(), b.stride(), to.data(), to.stride(), T(1)});
        by.layers.scale({5, cols, a.data(), a.stride(), nullptr, 0, a.data(), a.stride(), T(1.25)});
        CHECK_AT(to.surroundings_untouched() && a.surroundings_untouched(), isa);
        std::vector<T> all = to.values();
        for (const T value : a.values()) all.push_back(value);
        return all;
      };
      CHECK_SAME(made(kernels), made(scalar), isa, " ", cols);
    }
  });
}

TEST(every_instruction_set_leaves_out_the_same) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& kernels,
                                           const TypedKernels<T>& scalar) {
    for (const int64_t cols : {1, 15, 16, 63, 64, 65, 127, 128, 129, 1000}) {
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
        p.threshold = uint32_t{1} << 14;
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

// Dropout tells by -0 what it left out; a 0 that it kept is another.
TEST(what_dropout_left_out_is_known_from_what_it_made) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        for (const int64_t cols : {1, 3, 8, 19, 200}) {
          std::vector<T> ones(static_cast<size_t>(cols), T(1)), x(ones), y(ones), g(ones), to(ones);
          for (size_t i = 0; i < x.size(); ++i)
            x[i] = i % 3 == 0 ? T(-0.0) : i % 3 == 1 ? T(0) : T(-2);
          gd::kernels::DropoutRows<T> p{};
          p.rows = 1;
          p.cols = p.ldx = p.ldy = cols;
          p.scale = T(1.5);
          p.threshold = uint32_t{1} << 15;
          p.x = p.y = ones.data();
          kernels.layers.dropout(p);
          p.x = x.data();
          p.y = y.data();
          kernels.layers.dropout(p);
          for (size_t i = 0; i < g.size(); ++i) g[i] = static_cast<T>(i) + 1;
          kernels.layers.keep({1, cols, g.data(), cols, y.data(), cols, to.data(), cols, p.scale});
          for (size_t i = 0; i < to.size(); ++i) {
            CHECK_AT(to[i] == (ones[i] == 0 ? T(0) : g[i] * p.scale), isa, " ", i);
            CHECK_AT(std::signbit(y[i]) == (ones[i] == 0 || x[i] < 0), isa, " ", i);
          }
        }
      });
}

// Some columns of a row are left out as they are in the whole row.
TEST(dropout_of_some_columns_is_that_of_the_row) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        constexpr int64_t cols = 300;
        const auto drawn = [&](int64_t begin, int64_t count) {
          std::vector<T> x(static_cast<size_t>(count), T(1));
          gd::kernels::DropoutRows<T> p{};
          p.rows = 1;
          p.cols = p.ldx = p.ldy = count;
          p.first_col = begin;
          p.x = p.y = x.data();
          p.scale = T(1);
          p.threshold = uint32_t{1} << 15;
          p.layer = 2;
          kernels.layers.dropout(p);
          return x;
        };
        const std::vector<T> whole = drawn(0, cols);
        for (const int64_t width : {1, 6, 16, 64, 100, 128}) {
          for (int64_t begin = 0; begin < cols; begin += width) {
            const std::vector<T> some = drawn(begin, std::min(width, cols - begin));
            CHECK_SAME(some.data(), whole.data() + begin, some.size(), isa, " from ", begin);
          }
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

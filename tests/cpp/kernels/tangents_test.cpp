// Activations over numbers with their derivatives: every instruction set against scalar, and second
// derivatives against differences of first ones.

#include <cmath>

#include "cpp/kernels/support.hpp"

using gd::kernels::ActivationKernel;
using gd::kernels::TypedKernels;
using gd::testing::Matrix;

namespace {

constexpr int64_t kMostCols = 70;

template <class T>
struct Buffers {
  Matrix<T> z{512}, a{512}, want{512}, g{512}, want_g{512};
};

template <class T>
void there_and_back(const std::string& where, const ActivationKernel<T>& fast,
                    const ActivationKernel<T>& reference, int64_t cols, int64_t directions,
                    const std::vector<T>& inputs, const std::vector<T>& gradients, Buffers<T>& b) {
  const std::vector<T> parameters = gd::testing::parameters_of<T>(fast.parameters);
  const int64_t rows = 1 + directions;
  const std::vector<T> z = b.z.shape(rows, cols).fill(inputs).values();
  b.want.shape(rows, cols);
  reference.tangents(cols, directions, b.z.data(), b.want.data(), parameters.data());
  b.a.shape(rows, cols);
  fast.tangents(cols, directions, b.z.data(), b.a.data(), parameters.data());
  CHECK_SAME(b.a.values(), b.want.values(), where, " tangents");
  CHECK_AT(b.a.surroundings_untouched(), where);

  const T* const saved = (fast.from_output ? b.want : b.z).data();
  b.want_g.shape(rows, cols).fill(gradients);
  reference.curve(cols, directions, saved, b.z.data(), b.want_g.data(), parameters.data());
  b.g.shape(rows, cols).fill(gradients);
  fast.curve(cols, directions, saved, b.z.data(), b.g.data(), parameters.data());
  CHECK_SAME(b.g.values(), b.want_g.values(), where, " curve");
  CHECK_AT(b.g.surroundings_untouched(), where);
  CHECK_SAME(b.z.values(), z, where, " input");
}

}  // namespace

TEST(tangents_agree_with_scalar_over_all_tails) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& fast,
                                           const TypedKernels<T>& reference) {
    Buffers<T> buffers;
    for (int f = 0; f < gd::kernels::kActivations; ++f) {
      const ActivationKernel<T>& kernel = fast.activations[f];
      CHECK_EQ(kernel.curve == nullptr, kernel.row_wise);
      if (kernel.curve == nullptr) continue;
      for (int64_t cols = 1; cols <= kMostCols; ++cols) {
        const int64_t directions = cols % 5;
        const auto seed = static_cast<uint64_t>(cols);
        const int64_t size = (1 + directions) * cols;
        const std::string where = gd::testing::text(isa, " ", kernel.name, " cols ", cols);
        there_and_back<T>(where, kernel, reference.activations[f], cols, directions,
                          gd::testing::normals<T>(size, seed, 3.0),
                          gd::testing::normals<T>(size, seed + 100), buffers);
        there_and_back<T>(where + " mixed", kernel, reference.activations[f], cols, directions,
                          gd::testing::mixed<T>(size, seed),
                          gd::testing::mixed<T>(size, seed + 100), buffers);
      }
    }
  });
}

// Of one number and one direction: with g = 0 and z' = g' = 1 the gradient at z is f''.
TEST(second_derivatives_are_slopes_of_first_ones) {
  const auto& table = *gd::kernels::table_of("scalar");
  const gd::testing::Mode mode(table);
  constexpr double kStep = 1e-5;
  for (const ActivationKernel<double>& kernel : table.f64.activations) {
    if (kernel.curve == nullptr) continue;
    const std::vector<double> parameters = gd::testing::parameters_of<double>(kernel.parameters);
    const auto slope = [&](double z) {
      double saved = z, g = 1;
      if (kernel.from_output) kernel.forward(1, 1, &z, 1, &saved, 1, parameters.data());
      kernel.backward(1, 1, &saved, 1, &g, 1, parameters.data());
      return g;
    };
    for (int k = -400; k <= 400; ++k) {
      // Never at a kink, all of which are at numbers of two digits.
      const double z = k / 40.0 + 0.0071;
      const double number[] = {z, 1};
      double saved = z, g[] = {0, 1};
      if (kernel.from_output) kernel.forward(1, 1, &z, 1, &saved, 1, parameters.data());
      kernel.curve(1, 1, &saved, number, g, parameters.data());
      const double expected = (slope(z + kStep) - slope(z - kStep)) / (2 * kStep);
      CHECK_AT(std::abs(g[0] - expected) < 1e-8, kernel.name, " at ", z, ": ", g[0], " and ",
               expected);
    }
  }
}

// Where a derivative is 0 and the number infinite, no NaN comes from the two.
TEST(second_derivatives_far_out_are_zero) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& fast, const TypedKernels<T>&) {
        for (const ActivationKernel<T>& kernel : fast.activations) {
          if (kernel.curve == nullptr) continue;
          const std::vector<T> parameters = gd::testing::parameters_of<T>(kernel.parameters);
          for (const T z : {T(-1e30), T(-2000), T(2000), T(1e30)}) {
            const T number[] = {z, 1};
            T saved = z, g[] = {0, 1};
            if (kernel.from_output) kernel.forward(1, 1, &z, 1, &saved, 1, parameters.data());
            kernel.curve(1, 1, &saved, number, g, parameters.data());
            CHECK_AT(std::abs(g[0]) < T(1e-6), isa, " ", kernel.name, " at ", z, ": ", g[0]);
          }
        }
      });
}

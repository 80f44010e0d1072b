// Solvers on problems of their own, without a network: the same bits for any number of workers.

#include <algorithm>
#include <cmath>

#include "cpp/optim/support.hpp"
#include "optim/solvers/cholesky.hpp"
#include "optim/solvers/solver.hpp"
#include "optim/solvers/vectors.hpp"

using gd::optim::Cholesky;
using gd::optim::ParameterSpan;
using gd::optim::Problem;

namespace {

// A random symmetric matrix with its eigenvalues above 1.
std::vector<double> positive_definite(int64_t n) {
  std::vector<double> a(static_cast<size_t>(n * n));
  std::vector<double> b(a.size());
  uint64_t state = 7;
  for (double& each : b) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    each = static_cast<double>(state >> 33) * 0x1p-31 - 0.5;
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = i == j ? 1 : 0;
      for (int64_t k = 0; k < n; ++k) {
        sum += b[static_cast<size_t>(i * n + k)] * b[static_cast<size_t>(j * n + k)];
      }
      a[static_cast<size_t>(i * n + j)] = sum;
    }
  }
  return a;
}

}  // namespace

TEST(cholesky_solves_and_any_number_of_workers_gives_the_same_bits) {
  for (const int64_t n : {1, 3, 63, 64, 65, 130, 200}) {
    const std::vector<double> a = positive_definite(n);
    std::vector<double> want;
    for (const int workers : gd::testing::kWorkerCounts) {
      std::vector<double> l = a;
      Cholesky<double> cholesky(n, workers);
      CHECK(cholesky.factor(l.data(), workers));
      std::vector<double> x(static_cast<size_t>(n), 1.0);
      cholesky.solve(l.data(), x.data());
      for (int64_t i = 0; i < n; ++i) {
        double image = 0;
        for (int64_t j = 0; j < n; ++j) {
          image += a[static_cast<size_t>(i * n + j)] * x[static_cast<size_t>(j)];
        }
        CHECK_CLOSE(image, 1.0, 1e-10);
      }
      if (want.empty()) want = x;
      CHECK_SAME(x, want, "workers ", workers);
    }
  }
}

TEST(cholesky_tells_of_a_matrix_that_is_not_positive_definite) {
  for (const int64_t n : {2, 100}) {
    std::vector<double> a = positive_definite(n);
    a.back() = -1;
    Cholesky<double> cholesky(n, 1);
    CHECK(!cholesky.factor(a.data(), 1));
  }
}

TEST(sums_over_vectors_have_the_same_bits_on_any_number_of_threads) {
  const int64_t n = 300'000;
  const std::vector<ParameterSpan> spans{{0, 1, n}, {n + 64, 2, 37}};
  std::vector<float> x(static_cast<size_t>(n + 64 + 74));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 97) - 48.5F;
  gd::optim::Vectors vectors(spans);
  CHECK(vectors.size() == n + 74);
  const double want = vectors.dot(1, x.data(), x.data());
  for (const int threads : {2, 3, 5}) CHECK(vectors.dot(threads, x.data(), x.data()) == want);
  CHECK(vectors.largest(x.data()) == 48.5);
}

// Eigenvectors and orthogonal bases, held against what they are.

#include "optim/eigen.hpp"

#include <cmath>

#include "cpp/optim/support.hpp"

namespace {

using Matrix = std::vector<double>;

// x^T x of (rows, n) normals: of rank rows, where that is less than n.
Matrix gram(int64_t n, int64_t rows, uint64_t seed) {
  const std::vector<double> x = gd::testing::normals<double>(rows * n, seed);
  Matrix result(static_cast<size_t>(n * n));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < rows; ++k)
        sum += x[static_cast<size_t>(k * n + i)] * x[static_cast<size_t>(k * n + j)];
      result[static_cast<size_t>(i * n + j)] = sum;
    }
  }
  return result;
}

// How far rows are from orthonormal ones.
double error_of(int64_t n, const Matrix& rows) {
  double worst = 0;
  for (int64_t a = 0; a < n; ++a) {
    for (int64_t b = 0; b < n; ++b) {
      const double dot = gd::optim::detail::dot(n, rows.data() + a * n, rows.data() + b * n);
      worst = std::max(worst, std::abs(dot - (a == b ? 1 : 0)));
    }
  }
  return worst;
}

}  // namespace

TEST(eigenvectors_are_orthonormal_and_give_the_matrix_back) {
  for (const int64_t n : {1, 2, 3, 7, 40, 65}) {
    for (const int64_t rank : {int64_t{0}, int64_t{1}, n / 2, n, 2 * n}) {
      const Matrix matrix = gram(n, rank, static_cast<uint64_t>(n + rank));
      Matrix vectors = matrix;
      std::vector<double> values(static_cast<size_t>(n)), room(static_cast<size_t>(n));
      gd::optim::eigenvectors(n, vectors.data(), values.data(), room.data());
      CHECK(error_of(n, vectors) <= 1e-12);
      double largest = 1;
      for (const double each : matrix) largest = std::max(largest, std::abs(each));
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t k = 0; k < n; ++k) {
            sum += values[static_cast<size_t>(k)] * vectors[static_cast<size_t>(k * n + i)] *
                   vectors[static_cast<size_t>(k * n + j)];
          }
          CHECK(std::abs(sum - matrix[static_cast<size_t>(i * n + j)]) <= 1e-11 * largest);
        }
      }
    }
  }
}

TEST(columns_made_orthonormal_span_what_they_did) {
  for (const int64_t n : {1, 2, 7, 40, 65}) {
    const std::vector<double> columns = gd::testing::normals<double>(n * n, 3);
    std::vector<double> work = columns, room(static_cast<size_t>(2 * n));
    Matrix q(static_cast<size_t>(n * n));
    gd::optim::orthonormal(n, work.data(), room.data(), [&](int64_t k, const double* own) {
      std::copy_n(own, n, q.data() + k * n);
    });
    CHECK(error_of(n, q) <= 1e-13 * static_cast<double>(n + 1));
    for (int64_t j = 0; j < n; ++j) {  // column j has nothing beyond the first j + 1
      for (int64_t k = j + 1; k < n; ++k) {
        CHECK(std::abs(gd::optim::detail::dot(n, columns.data() + j * n, q.data() + k * n)) <=
              1e-12);
      }
    }
  }
}

TEST(columns_of_zeros_get_a_basis_too) {
  constexpr int64_t n = 9;
  std::vector<double> work(n * n), room(2 * n);
  Matrix q(n * n);
  gd::optim::orthonormal(n, work.data(), room.data(), [&](int64_t k, const double* own) {
    std::copy_n(own, n, q.data() + k * n);
  });
  CHECK(error_of(n, q) <= 1e-14);
}

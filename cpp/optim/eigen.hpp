#pragma once

// Eigenvectors and orthogonal bases of small matrices, by one worker, in double, with the same bits
// on every machine: no function of the C library but square roots, sums in a fixed order.

#include <cstdint>

namespace gd::optim {

// A symmetric (n, n) matrix becomes its eigenvectors, one a row, in no order; values (n,) gets the
// eigenvalues. room: (n,). Householder's reduction to three diagonals, then the QL method with
// implicit shifts: Bowdler, Martin, Reinsch, Wilkinson, "The QR and QL algorithms for symmetric
// matrices", 1968, in the form of EISPACK's tred2 and tql2.
void eigenvectors(int64_t n, double* matrix, double* values, double* room);

// The columns of an (n, n) matrix, one a row of `columns`, are made orthonormal one after the
// other, by Householder's reflections: take(k, q) gets the k-th, (n,), which spans with those
// before it what the columns did. A column's sign is left to chance. room: (2 n,).
template <class Take>
void orthonormal(int64_t n, double* columns, double* room, Take&& take);

namespace detail {

inline double dot(int64_t n, const double* a, const double* b) {
  double lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int k = 0; k < 8; ++k) lanes[k] += a[i + k] * b[i + k];
  }
  for (; i < n; ++i) lanes[i % 8] += a[i] * b[i];
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

inline void subtract(int64_t n, double factor, const double* b, double* a) {
  for (int64_t i = 0; i < n; ++i) a[i] -= factor * b[i];
}

}  // namespace detail

template <class Take>
void orthonormal(int64_t n, double* columns, double* room, Take&& take) {
  double* const twice = room;  // 2 / |v|^2 of each reflection x - twice v (v x), v in its row
  double* const q = room + n;
  for (int64_t j = 0; j < n; ++j) {
    double* const v = columns + j * n + j;
    const double squares = detail::dot(n - j, v, v);
    const double length = __builtin_sqrt(squares);
    const double first = v[0];
    v[0] += first < 0 ? -length : length;
    const double of_v = squares - first * first + v[0] * v[0];
    twice[j] = of_v > 0 ? 2 / of_v : 0;
    for (int64_t k = j + 1; k < n; ++k) {
      double* const column = columns + k * n + j;
      detail::subtract(n - j, twice[j] * detail::dot(n - j, v, column), v, column);
    }
  }
  for (int64_t k = 0; k < n; ++k) {
    for (int64_t i = 0; i < n; ++i) q[i] = i == k ? 1 : 0;
    for (int64_t j = k; j >= 0; --j) {
      const double* const v = columns + j * n + j;
      detail::subtract(n - j, twice[j] * detail::dot(n - j, v, q + j), v, q + j);
    }
    take(k, static_cast<const double*>(q));
  }
}

}  // namespace gd::optim

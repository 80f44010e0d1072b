#include "optim/eigen.hpp"

#include <algorithm>
#include <cmath>

namespace gd::optim {

namespace {

using detail::dot;
using detail::subtract;

// Rounds of one eigenvalue; they take two or three.
constexpr int kMostSweeps = 60;
constexpr double kEpsilon = 0x1p-52;

double length_of(double a, double b) { return std::sqrt(a * a + b * b); }

// v holds the transpose of what EISPACK calls z, so that its columns are rows here.
void to_three_diagonals(int64_t n, double* v, double* d, double* e) {
  const auto row = [&](int64_t j) { return v + j * n; };
  for (int64_t j = 0; j < n; ++j) d[j] = row(j)[n - 1];
  for (int64_t i = n - 1; i > 0; --i) {
    double scale = 0;
    for (int64_t k = 0; k < i; ++k) scale += std::abs(d[k]);
    double h = 0;
    if (scale == 0) {
      e[i] = d[i - 1];
      for (int64_t j = 0; j < i; ++j) {
        d[j] = row(j)[i - 1];
        row(j)[i] = row(i)[j] = 0;
      }
    } else {
      for (int64_t k = 0; k < i; ++k) d[k] /= scale;
      h = dot(i, d, d);
      double f = d[i - 1];
      double g = f > 0 ? -std::sqrt(h) : std::sqrt(h);
      e[i] = scale * g;
      h -= f * g;
      d[i - 1] = f - g;
      std::fill_n(e, i, 0.0);
      for (int64_t j = 0; j < i; ++j) {
        f = d[j];
        row(i)[j] = f;
        double* const own = row(j);
        const int64_t rest = i - j - 1;
        g = e[j] + own[j] * f + dot(rest, own + j + 1, d + j + 1);
        subtract(rest, -f, own + j + 1, e + j + 1);
        e[j] = g;
      }
      for (int64_t j = 0; j < i; ++j) e[j] /= h;
      subtract(i, dot(i, e, d) / (h + h), d, e);
      for (int64_t j = 0; j < i; ++j) {
        f = d[j];
        g = e[j];
        for (int64_t k = j; k < i; ++k) row(j)[k] -= f * e[k] + g * d[k];
        d[j] = row(j)[i - 1];
        row(j)[i] = 0;
      }
    }
    d[i] = h;
  }
  for (int64_t i = 0; i + 1 < n; ++i) {
    row(i)[n - 1] = row(i)[i];
    row(i)[i] = 1;
    double* const next = row(i + 1);
    if (const double h = d[i + 1]; h != 0) {
      for (int64_t k = 0; k <= i; ++k) d[k] = next[k] / h;
      for (int64_t j = 0; j <= i; ++j) subtract(i + 1, dot(i + 1, next, row(j)), d, row(j));
    }
    std::fill_n(next, i + 1, 0.0);
  }
  for (int64_t j = 0; j < n; ++j) {
    d[j] = row(j)[n - 1];
    row(j)[n - 1] = 0;
  }
  row(n - 1)[n - 1] = 1;
  e[0] = 0;
}

void to_one_diagonal(int64_t n, double* v, double* d, double* e) {
  for (int64_t i = 1; i < n; ++i) e[i - 1] = e[i];
  e[n - 1] = 0;
  double shift = 0;
  double largest = 0;
  for (int64_t l = 0; l < n; ++l) {
    largest = std::max(largest, std::abs(d[l]) + std::abs(e[l]));
    int64_t m = l;
    while (m + 1 < n && !(std::abs(e[m]) <= kEpsilon * largest)) ++m;
    for (int round = 0; m > l && round < kMostSweeps; ++round) {
      double g = d[l];
      double p = (d[l + 1] - g) / (2 * e[l]);
      double r = p < 0 ? -length_of(p, 1) : length_of(p, 1);
      d[l] = e[l] / (p + r);
      d[l + 1] = e[l] * (p + r);
      const double next = d[l + 1];
      double h = g - d[l];
      for (int64_t i = l + 2; i < n; ++i) d[i] -= h;
      shift += h;
      p = d[m];
      double c = 1, c2 = 1, c3 = 1, s = 0, s2 = 0;
      const double beside = e[l + 1];
      for (int64_t i = m - 1; i >= l; --i) {
        c3 = c2;
        c2 = c;
        s2 = s;
        g = c * e[i];
        h = c * p;
        r = length_of(p, e[i]);
        e[i + 1] = s * r;
        s = r > 0 ? e[i] / r : 0;
        c = r > 0 ? p / r : 1;
        p = c * d[i] - s * g;
        d[i + 1] = h + s * (c * g + s * d[i]);
        double* const a = v + i * n;
        double* const b = a + n;
        for (int64_t k = 0; k < n; ++k) {
          const double was = b[k];
          b[k] = s * a[k] + c * was;
          a[k] = c * a[k] - s * was;
        }
      }
      p = -s * s2 * c3 * beside * e[l] / next;
      e[l] = s * p;
      d[l] = c * p;
      if (!(std::abs(e[l]) > kEpsilon * largest)) break;
    }
    d[l] += shift;
    e[l] = 0;
  }
}

}  // namespace

void eigenvectors(int64_t n, double* matrix, double* values, double* room) {
  to_three_diagonals(n, matrix, values, room);
  to_one_diagonal(n, matrix, values, room);
}

}  // namespace gd::optim

#pragma once

// Normalization of rows and its gradient. Included after an ISA's vec.hpp.

#include "kernels/lanes-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// As many rows at a time as a vector has elements, as long as they have one sum each; then one by
// one. group(first) and one(row) compute the same, to the bit.
template <class V, class Group, class One>
inline void for_row_groups(int64_t rows, int64_t cols, Group group, One one) {
  int64_t i = 0;
  if (V::width > 1 && cols <= kLongLanes) {
    for (; i + V::width <= rows; i += V::width) group(i);
  }
  for (; i < rows; ++i) one(i);
}

// y = (x - mean) r gamma + beta with r = 1 / sqrt(mean((x - mean)^2) + eps); not centered: mean =
// 0.
template <class V, class T = typename V::scalar>
struct NormForward {
  const NormRows<T>& p;
  const V one = V::set1(1);
  const V zero = V::set1(0);
  const V count = V::set1(static_cast<T>(p.cols));

  // Of sums of squares.
  V root(V squares) const {
    return V::div(one, V::sqrt(V::add(V::div(squares, count), V::set1(p.eps))));
  }

  void put(int64_t i, T mean, T root) const {
    const T* const x = p.x + i * p.ldx;
    T* const y = p.y + i * p.ldy;
    T* const stats = p.stats + i * p.lds;
    stats[0] = mean;
    stats[1] = root;
    const V middle = V::set1(mean);
    const V by = V::set1(root);
    const auto write = [&](int64_t j, int n) {
      const V normal = V::mul(V::sub(load_lanes<V>(x, j, n, 0), middle), by);
      const V gamma = p.gamma == nullptr ? one : load_lanes<V>(p.gamma, j, n, 0);
      const V beta = p.beta == nullptr ? zero : load_lanes<V>(p.beta, j, n, 0);
      store_lanes<V>(y + j, n, V::fma(normal, gamma, beta));
    };
    for_vectors<V>(
        p.cols, [&](int64_t j) { write(j, V::width); }, [&](int64_t j, int n) { write(j, n); });
  }

  void row(int64_t i) const {
    const T* const x = p.x + i * p.ldx;
    T mean = 0;
    if (p.centered) {
      mean = lane_sum<V>(p.cols, [&](int64_t at, int n) { return load_lanes<V>(x, at, n, 0); });
      mean /= static_cast<T>(p.cols);
    }
    const V middle = V::set1(mean);
    const T squares = sum_of_lanes<V>(p.cols, [&](V lane, int64_t at, int n) {
      const V off = V::sub(load_lanes<V>(x, at, n, mean), middle);
      return V::fma(off, off, lane);
    });
    T roots[V::width];
    V::store(roots, root(V::set1(squares)));
    put(i, mean, roots[0]);
  }

  void group(int64_t first) const {
    const T* const x = p.x + first * p.ldx;
    T means[V::width] = {};
    if (p.centered) {
      const V sums = sums_of_rows<V>(p.cols, [&](int r, V lane, int64_t at, int n) {
        return V::add(lane, load_lanes<V>(x + r * p.ldx, at, n, 0));
      });
      V::store(means, V::div(sums, count));
    }
    const V squares = sums_of_rows<V>(p.cols, [&](int r, V lane, int64_t at, int n) {
      const V off = V::sub(load_lanes<V>(x + r * p.ldx, at, n, means[r]), V::set1(means[r]));
      return V::fma(off, off, lane);
    });
    T roots[V::width];
    V::store(roots, root(squares));
    for (int r = 0; r < V::width; ++r) put(first + r, means[r], roots[r]);
  }
};

template <class V, class T = typename V::scalar>
void norm_forward(const NormRows<T>& p) {
  const NormForward<V> norm{p};
  for_row_groups<V>(
      p.rows, p.cols, [&](int64_t i) { norm.group(i); }, [&](int64_t i) { norm.row(i); });
}

// With x' = (x - mean) r: each = g x', whose sums over rows are the gradient at gamma, and
// gx = r (g gamma - mean(g gamma) - x' mean(g gamma x')); not centered: without the first mean.
template <class V, class T = typename V::scalar>
struct NormBackward {
  const NormGradientRows<T>& p;
  const V one = V::set1(1);

  V normal(int64_t i, int64_t j, int n) const {
    const T* const stats = p.stats + i * p.lds;
    const V x = load_lanes<V>(p.x + i * p.ldx, j, n, stats[0]);
    return V::mul(V::sub(x, V::set1(stats[0])), V::set1(stats[1]));
  }

  V scaled(int64_t i, int64_t j, int n) const {
    const V gamma = p.gamma == nullptr ? one : load_lanes<V>(p.gamma, j, n, 0);
    return V::mul(load_lanes<V>(p.g + i * p.ldg, j, n, 0), gamma);
  }

  void put_each(int64_t i) const {
    if (p.each == nullptr) return;
    const T* const g = p.g + i * p.ldg;
    T* const each = p.each + i * p.lde;
    const auto write = [&](int64_t j, int n) {
      store_lanes<V>(each + j, n, V::mul(load_lanes<V>(g, j, n, 0), normal(i, j, n)));
    };
    for_vectors<V>(
        p.cols, [&](int64_t j) { write(j, V::width); }, [&](int64_t j, int n) { write(j, n); });
  }

  void put(int64_t i, T mean, T slope) const {
    const V shift = V::set1(mean);
    const V tilt = V::set1(slope);
    const V by = V::set1(p.stats[i * p.lds + 1]);
    T* const gx = p.gx + i * p.ldgx;
    const auto write = [&](int64_t j, int n) {
      const V off = V::sub(V::sub(scaled(i, j, n), shift), V::mul(normal(i, j, n), tilt));
      store_lanes<V>(gx + j, n, V::mul(by, off));
    };
    for_vectors<V>(
        p.cols, [&](int64_t j) { write(j, V::width); }, [&](int64_t j, int n) { write(j, n); });
  }

  void row(int64_t i) const {
    put_each(i);
    if (p.gx == nullptr) return;
    const T count = static_cast<T>(p.cols);
    T mean = 0;
    if (p.centered) {
      mean = lane_sum<V>(p.cols, [&](int64_t at, int n) { return scaled(i, at, n); }) / count;
    }
    const T slope = sum_of_lanes<V>(p.cols, [&](V lane, int64_t at, int n) {
      return V::fma(scaled(i, at, n), normal(i, at, n), lane);
    });
    put(i, mean, slope / count);
  }

  void group(int64_t first) const {
    for (int r = 0; r < V::width; ++r) put_each(first + r);
    if (p.gx == nullptr) return;
    const V count = V::set1(static_cast<T>(p.cols));
    T means[V::width] = {}, slopes[V::width];
    if (p.centered) {
      const V sums = sums_of_rows<V>(p.cols, [&](int r, V lane, int64_t at, int n) {
        return V::add(lane, scaled(first + r, at, n));
      });
      V::store(means, V::div(sums, count));
    }
    const V sums = sums_of_rows<V>(p.cols, [&](int r, V lane, int64_t at, int n) {
      return V::fma(scaled(first + r, at, n), normal(first + r, at, n), lane);
    });
    V::store(slopes, V::div(sums, count));
    for (int r = 0; r < V::width; ++r) put(first + r, means[r], slopes[r]);
  }
};

template <class V, class T = typename V::scalar>
void norm_backward(const NormGradientRows<T>& p) {
  const NormBackward<V> norm{p};
  for_row_groups<V>(
      p.rows, p.cols, [&](int64_t i) { norm.group(i); }, [&](int64_t i) { norm.row(i); });
}

}  // namespace
}  // namespace gd::kernels

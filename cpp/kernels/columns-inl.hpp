#pragma once

// Columns normalized over the rows of a batch, and their gradients; lanes lie over columns, so that
// each column is a chain of its own on any vector. Included after an ISA's vec.hpp.

#include <type_traits>

#include "kernels/lanes-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// Vectors of columns side by side. An addition takes several cycles, so that several chains go at
// once; the last few columns go by themselves, as a vector of n lanes.
template <class V, int N>
struct ColumnGroup {
  using T = typename V::scalar;
  int n;

  V load(const T* p, int v) const {
    return N > 1 ? V::load(p + v * V::width) : load_lanes<V>(p, 0, n, 0);
  }
  void store(T* p, int v, V a) const {
    N > 1 ? V::store(p + v * V::width, a) : store_lanes<V>(p, n, a);
  }
  // What a column has, or the same for all where it has none.
  V load_or(const T* p, int64_t j, int v, T fill) const {
    return p == nullptr ? V::set1(fill) : load(p + j, v);
  }
};

// body(group, column) for all columns.
template <class V, class Body>
inline void for_column_groups(int64_t cols, Body body) {
  constexpr int kTogether = 4;
  int64_t j = 0;
  for (; cols - j >= kTogether * V::width; j += kTogether * V::width) {
    body(ColumnGroup<V, kTogether>{V::width}, j);
  }
  for (; j < cols; j += V::width) {
    body(ColumnGroup<V, 1>{clamp_to_width<V>(cols - j)}, j);
  }
}

// Sums over rows of what add(row, sums) adds: parts of so many rows, which are added in order.
template <class V, int Sums, class Add>
inline void sum_rows(int64_t rows, int64_t part, V (&sums)[Sums], Add add) {
  for (V& sum : sums) sum = V::set1(0);
  for (int64_t begin = 0; begin < rows; begin += part) {
    const int64_t end = rows - begin < part ? rows : begin + part;
    V chain[Sums];
#pragma GCC unroll 8
    for (V& sum : chain) sum = V::set1(0);
    for (int64_t i = begin; i < end; ++i) add(i, chain);
#pragma GCC unroll 8
    for (int s = 0; s < Sums; ++s) sums[s] = V::add(sums[s], chain[s]);
  }
}

// mean and var = mean((x - mean)^2) of each column.
template <class V, class T = typename V::scalar>
void column_moments(const ColumnRows<T>& p, T* mean, T* var) {
  const V count = V::set1(static_cast<T>(p.rows));
  for_column_groups<V>(p.cols, [&]<int N>(ColumnGroup<V, N> group, int64_t j) {
    V middle[N];
    sum_rows(p.rows, p.part, middle, [&](int64_t i, V(&sums)[N]) {
      const T* const x = p.x + i * p.ldx + j;
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) sums[v] = V::add(sums[v], group.load(x, v));
    });
    for (int v = 0; v < N; ++v) {
      middle[v] = V::div(middle[v], count);
      group.store(mean + j, v, middle[v]);
    }
    V squares[N];
    sum_rows(p.rows, p.part, squares, [&](int64_t i, V(&sums)[N]) {
      const T* const x = p.x + i * p.ldx + j;
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) {
        const V off = V::sub(group.load(x, v), middle[v]);
        sums[v] = V::fma(off, off, sums[v]);
      }
    });
    for (int v = 0; v < N; ++v) group.store(var + j, v, V::div(squares[v], count));
  });
}

// y = (x - mean) (root gamma) + beta.
template <class V, class T = typename V::scalar>
void column_norm(const ColumnNormRows<T>& p) {
  for_column_groups<V>(p.cols, [&]<int N>(ColumnGroup<V, N> group, int64_t j) {
    V middle[N];
    V by[N];
    V shift[N];
    for (int v = 0; v < N; ++v) {
      middle[v] = group.load(p.mean + j, v);
      by[v] = V::mul(group.load(p.root + j, v), group.load_or(p.gamma, j, v, 1));
      shift[v] = group.load_or(p.beta, j, v, 0);
    }
    for (int64_t i = 0; i < p.rows; ++i) {
      const T* const x = p.x + i * p.ldx + j;
      T* const y = p.y + i * p.ldy + j;
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) {
        group.store(y, v, V::fma(V::sub(group.load(x, v), middle[v]), by[v], shift[v]));
      }
    }
  });
}

// The sums over rows of g, and of g (x - mean) root.
template <class V, class T = typename V::scalar>
void column_slopes(const ColumnGradientRows<T>& p, T* plain, T* tilted) {
  for_column_groups<V>(p.cols, [&]<int N>(ColumnGroup<V, N> group, int64_t j) {
    V middle[N];
    for (int v = 0; v < N; ++v) middle[v] = group.load(p.mean + j, v);
    V all[2 * N];
    sum_rows(p.rows, p.part, all, [&](int64_t i, V(&sums)[2 * N]) {
      const T* const x = p.x + i * p.ldx + j;
      const T* const g = p.g + i * p.ldg + j;
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) {
        const V slope = group.load(g, v);
        sums[v] = V::add(sums[v], slope);
        sums[N + v] = V::fma(slope, V::sub(group.load(x, v), middle[v]), sums[N + v]);
      }
    });
    for (int v = 0; v < N; ++v) {
      group.store(plain + j, v, all[v]);
      group.store(tilted + j, v, V::mul(all[N + v], group.load(p.root + j, v)));
    }
  });
}

// With x' = (x - mean) root: gx = root gamma (g - mean(g) - x' mean(g x')), the means being those
// of the sums; without sums root gamma g.
template <class V, class T = typename V::scalar>
void column_gradient(const ColumnGradientRows<T>& p, const T* plain, const T* tilted) {
  const V share = V::div(V::set1(1), V::set1(static_cast<T>(p.rows)));
  for_column_groups<V>(p.cols, [&]<int N>(ColumnGroup<V, N> group, int64_t j) {
    V by[N];
    for (int v = 0; v < N; ++v) {
      by[v] = V::mul(group.load(p.root + j, v), group.load_or(p.gamma, j, v, 1));
    }
    if (plain == nullptr) {
      for (int64_t i = 0; i < p.rows; ++i) {
        T* const g = p.g + i * p.ldg + j;
#pragma GCC unroll 4
        for (int v = 0; v < N; ++v) group.store(g, v, V::mul(group.load(g, v), by[v]));
      }
      return;
    }
    V middle[N];
    V shift[N];
    V tilt[N];
    for (int v = 0; v < N; ++v) {
      middle[v] = group.load(p.mean + j, v);
      shift[v] = V::mul(group.load(plain + j, v), share);
      const V slope = V::mul(group.load(tilted + j, v), share);
      tilt[v] = V::sub(V::set1(0), V::mul(slope, group.load(p.root + j, v)));
    }
    for (int64_t i = 0; i < p.rows; ++i) {
      const T* const x = p.x + i * p.ldx + j;
      T* const g = p.g + i * p.ldg + j;
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) {
        const V off = V::sub(group.load(x, v), middle[v]);
        const V left = V::fma(off, tilt[v], V::sub(group.load(g, v), shift[v]));
        group.store(g, v, V::mul(left, by[v]));
      }
    }
  });
}

}  // namespace
}  // namespace gd::kernels

#pragma once

// Normalization of rows and its gradient. Included after an ISA's vec.hpp.

#include "kernels/lanes-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// y = (x - mean) r gamma + beta with r = 1 / sqrt(mean((x - mean)^2) + eps); not centered: mean =
// 0.
template <class V, class T = typename V::scalar>
void norm_forward(const NormRows<T>& p) {
  const V one = V::set1(1);
  const V zero = V::set1(0);
  const T count = static_cast<T>(p.cols);
  for (int64_t i = 0; i < p.rows; ++i) {
    const T* const x = p.x + i * p.ldx;
    T* const y = p.y + i * p.ldy;
    T mean = 0;
    if (p.centered) {
      mean = lane_sum<V>(p.cols, [&](int64_t at, int n) { return load_lanes<V>(x, at, n, 0); });
      mean /= count;
    }
    const V middle = V::set1(mean);
    const T squares = sum_of_lanes<V>(p.cols, [&](V lane, int64_t at, int n) {
      const V off = V::sub(load_lanes<V>(x, at, n, mean), middle);
      return V::fma(off, off, lane);
    });
    const V spread = V::sqrt(V::set1(squares / count + p.eps));
    T* const stats = p.stats + i * p.lds;
    T root[V::width];
    V::store(root, V::div(one, spread));
    stats[0] = mean;
    stats[1] = root[0];
    const V by = V::set1(root[0]);
    const auto put = [&](int64_t j, int n) {
      const V normal = V::mul(V::sub(load_lanes<V>(x, j, n, 0), middle), by);
      const V gamma = p.gamma == nullptr ? one : load_lanes<V>(p.gamma, j, n, 0);
      const V beta = p.beta == nullptr ? zero : load_lanes<V>(p.beta, j, n, 0);
      V::store(y + j, n, V::fma(normal, gamma, beta));
    };
    for_vectors<V>(
        p.cols, [&](int64_t j) { put(j, V::width); }, [&](int64_t j, int n) { put(j, n); });
  }
}

// With x' = (x - mean) r: each = g x', whose sums over rows are the gradient at gamma, and
// gx = r (g gamma - mean(g gamma) - x' mean(g gamma x')); not centered: without the first mean.
template <class V, class T = typename V::scalar>
void norm_backward(const NormGradientRows<T>& p) {
  const V one = V::set1(1);
  const T count = static_cast<T>(p.cols);
  for (int64_t i = 0; i < p.rows; ++i) {
    const T* const x = p.x + i * p.ldx;
    const T* const g = p.g + i * p.ldg;
    const T* const stats = p.stats + i * p.lds;
    const V middle = V::set1(stats[0]);
    const V by = V::set1(stats[1]);
    const auto normal_at = [&](int64_t j, int n) {
      return V::mul(V::sub(load_lanes<V>(x, j, n, stats[0]), middle), by);
    };
    const auto scaled_at = [&](int64_t j, int n) {
      const V gamma = p.gamma == nullptr ? one : load_lanes<V>(p.gamma, j, n, 0);
      return V::mul(load_lanes<V>(g, j, n, 0), gamma);
    };
    if (p.each != nullptr) {
      T* const each = p.each + i * p.lde;
      const auto put = [&](int64_t j, int n) {
        V::store(each + j, n, V::mul(load_lanes<V>(g, j, n, 0), normal_at(j, n)));
      };
      for_vectors<V>(
          p.cols, [&](int64_t j) { put(j, V::width); }, [&](int64_t j, int n) { put(j, n); });
    }
    if (p.gx == nullptr) continue;
    T mean = 0;
    if (p.centered) {
      mean = lane_sum<V>(p.cols, [&](int64_t at, int n) { return scaled_at(at, n); }) / count;
    }
    const T slope = sum_of_lanes<V>(p.cols, [&](V lane, int64_t at, int n) {
      return V::fma(scaled_at(at, n), normal_at(at, n), lane);
    });
    const V shift = V::set1(mean);
    const V tilt = V::set1(slope / count);
    T* const gx = p.gx + i * p.ldgx;
    const auto put = [&](int64_t j, int n) {
      const V off = V::sub(V::sub(scaled_at(j, n), shift), V::mul(normal_at(j, n), tilt));
      V::store(gx + j, n, V::mul(by, off));
    };
    for_vectors<V>(
        p.cols, [&](int64_t j) { put(j, V::width); }, [&](int64_t j, int n) { put(j, n); });
  }
}

}  // namespace
}  // namespace gd::kernels

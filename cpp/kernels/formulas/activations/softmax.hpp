#pragma once

#include "kernels/lanes-inl.hpp"
#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a_j = exp(z_j - max z) / sum_k exp(z_k - max z), over a row.
struct softmax {
  static constexpr const char* name = "softmax";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = true;
  static constexpr bool row_wise = true;

  template <class V, class T = typename V::scalar>
  static void forward(int64_t size, const T* z, T* a, const T*) {
    const V top = V::set1(lane_max<V>(size, z));
    const T sum = lane_sum<V>(size, [&](int64_t at, int n) {
      const V e = kernels::exp(V::sub(load_lanes<V>(z, at, n, 0), top));
      V::store(a + at, n, e);
      return load_lanes<V>(a, at, n, 0);  // without the padding, whose exponential is not 0
    });
    const V total = V::set1(sum);
    for_vectors<V>(
        size, [&](int64_t j) { V::store(a + j, V::div(V::load(a + j), total)); },
        [&](int64_t j, int n) { V::store(a + j, n, V::div(V::load(a + j, n, 0), total)); });
  }

  // dz_j = a_j (g_j - sum_k a_k g_k)
  template <class V, class T = typename V::scalar>
  static void backward(int64_t size, const T* a, T* g, const T*) {
    const V dot = V::set1(lane_sum<V>(size, [&](int64_t at, int n) {
      return V::mul(load_lanes<V>(a, at, n, 0), load_lanes<V>(g, at, n, 0));
    }));
    for_vectors<V>(
        size,
        [&](int64_t j) { V::store(g + j, V::mul(V::load(a + j), V::sub(V::load(g + j), dot))); },
        [&](int64_t j, int n) {
          V::store(g + j, n, V::mul(V::load(a + j, n, 0), V::sub(V::load(g + j, n, 0), dot)));
        });
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

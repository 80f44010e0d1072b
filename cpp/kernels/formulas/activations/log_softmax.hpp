#pragma once

#include "kernels/lanes-inl.hpp"
#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a_j = z_j - log sum_k exp(z_k), over a row: z_j - top - log(1 + rest), where rest leaves out one
// z at the top, since beside the 1 it would lose its digits.
struct log_softmax {
  static constexpr const char* name = "log_softmax";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = true;
  static constexpr bool row_wise = true;

  template <class V, class T = typename V::scalar>
  static void forward(int64_t size, const T* z, T* a, const T*) {
    const V one = V::set1(1), zero = V::set1(0);
    const V top = V::set1(lane_max<V>(size, z));
    V at_top = zero;  // how many, in each lane
    const T below = lane_sum<V>(size, [&](int64_t at, int n) {
      const V e = kernels::exp(V::sub(load_lanes<V>(z, at, n, -Constants<V>::kInfinity), top));
      const auto full = V::ge(e, one);
      at_top = V::add(at_top, V::select(full, one, zero));
      return V::select(full, zero, e);
    });
    T lanes[V::width];
    V::store(lanes, at_top);
    T others = -1;
    for (const T count : lanes) others += count;
    const V rest = V::set1(below + others);
    // log(1 + rest), with what is lost of rest in the sum.
    const V sum = V::add(one, rest);
    const V lost = V::sub(rest, V::sub(sum, one));
    const V log_sum = V::add(kernels::log(sum), V::div(lost, sum));
    each<V>(size, a, [&](int64_t j, int n) {
      return V::sub(V::sub(load_lanes<V>(z, j, n, 0), top), log_sum);
    });
  }

  // With p = e^a, dz_j = g_j - p_j sum_k g_k = g_j (1 - p_j) - p_j sum_{k != j} g_k: 1 - p_j keeps
  // its digits where p_j is near 1.
  template <class V, class T = typename V::scalar>
  static void backward(int64_t size, const T* a, T* g, const T*) {
    using K = Constants<V>;
    const V one = V::set1(1), zero = V::set1(0), low = V::set1(K::kLogMinNormal);
    const V total =
        V::set1(lane_sum<V>(size, [&](int64_t at, int n) { return load_lanes<V>(g, at, n, 0); }));
    each<V>(size, g, [&](int64_t j, int n) {
      const V at = load_lanes<V>(a, j, n, 0), slope = load_lanes<V>(g, j, n, 0);
      // exp and expm1 of one and the same argument.
      const V x = V::max(low, at);
      const auto e = exp_parts(x, V::max(exponent(x), V::set1(K::kMinExponent)));
      const V p = V::fma(e.s, V::fma(e.p, e.r2, e.r), e.s);
      const V minus_rest = V::fma(e.s, V::mul(e.p, e.r2), V::fma(e.s, e.r, V::sub(e.s, one)));
      const V others = V::mul(V::select(V::lt(at, low), zero, p), V::sub(total, slope));
      return V::sub(zero, V::fma(minus_rest, slope, others));
    });
  }

 private:
  template <class V, class T, class Value>
  static void each(int64_t size, T* to, Value value) {
    for_vectors<V>(
        size, [&](int64_t j) { V::store(to + j, value(j, V::width)); },
        [&](int64_t j, int n) { V::store(to + j, n, value(j, n)); });
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

// Activations over numbers with their derivatives, see ActivationKernel. Included after an ISA's
// vec.hpp.

#include "kernels/formulas/all.hpp"
#include "kernels/lanes-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

template <class V, class F, class T = typename V::scalar>
void activation_tangents(int64_t cols, int64_t directions, const T* z, T* a, const T* parameters) {
  const auto some = [&](int64_t j, int n) {
    const V at = load_lanes<V>(z, j, n, 0);
    const V value = F::template forward<V>(at, parameters);
    V::store(a + j, n, value);
    const V slope = F::template backward<V>(F::from_output ? value : at, V::set1(1), parameters);
    for (int64_t d = 1; d <= directions; ++d) {
      V::store(a + d * cols + j, n, V::mul(slope, load_lanes<V>(z + d * cols, j, n, 0)));
    }
  };
  for_vectors<V>(cols, [&](int64_t j) { some(j, V::width); }, some);
}

template <class V, class F, class T = typename V::scalar>
void activation_curve(int64_t cols, int64_t directions, const T* saved, const T* z, T* g,
                      const T* parameters) {
  const auto some = [&](int64_t j, int n) {
    const V at = load_lanes<V>(saved, j, n, 0);
    const V slope = F::template backward<V>(at, V::set1(1), parameters);
    V sum = V::set1(0);
    for (int64_t d = 1; d <= directions; ++d) {
      const V of = load_lanes<V>(g + d * cols, j, n, 0);
      sum = V::fma(load_lanes<V>(z + d * cols, j, n, 0), of, sum);
      V::store(g + d * cols + j, n, V::mul(slope, of));
    }
    const V plain = V::mul(slope, load_lanes<V>(g, j, n, 0));
    V::store(g + j, n, V::fma(F::template second<V>(at, parameters), sum, plain));
  };
  for_vectors<V>(cols, [&](int64_t j) { some(j, V::width); }, some);
}

// What a formula with a second derivative adds to its kernel.
template <class V, class F, class T = typename V::scalar>
void add_tangents(ActivationKernel<T>& kernel) {
  if constexpr (requires(V at) { F::template second<V>(at, nullptr); }) {
    kernel.tangents = activation_tangents<V, F>;
    kernel.curve = activation_curve<V, F>;
  }
}

}  // namespace
}  // namespace gd::kernels

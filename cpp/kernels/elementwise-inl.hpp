#pragma once

// Activations, losses and reductions from their formulas. Included after an ISA's vec.hpp.

#include <type_traits>

#include "kernels/formulas/all.hpp"
#include "kernels/lanes-inl.hpp"
#include "kernels/samples-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

template <class Formula>
constexpr bool is_row_wise = requires { Formula::row_wise; };

// ---- activations ----

template <class V, class F, class T = typename V::scalar>
void activation_forward(int64_t rows, int64_t cols, const T* z, int64_t ldz, T* a, int64_t lda,
                        const T* parameters) {
  for (int64_t i = 0; i < rows; ++i, z += ldz, a += lda) {
    if constexpr (is_row_wise<F>) {
      F::template forward<V>(cols, z, a, parameters);
    } else {
      for_vectors<V>(
          cols,
          [&](int64_t j) { V::store(a + j, F::template forward<V>(V::load(z + j), parameters)); },
          [&](int64_t j, int n) {
            V::store(a + j, n, F::template forward<V>(V::load(z + j, n, 0), parameters));
          });
    }
  }
}

template <class V, class F, class T = typename V::scalar>
void activation_backward(int64_t rows, int64_t cols, const T* saved, int64_t lds, T* g, int64_t ldg,
                         const T* parameters) {
  for (int64_t i = 0; i < rows; ++i, saved += lds, g += ldg) {
    if constexpr (is_row_wise<F>) {
      F::template backward<V>(cols, saved, g, parameters);
    } else {
      for_vectors<V>(
          cols,
          [&](int64_t j) {
            V::store(g + j,
                     F::template backward<V>(V::load(saved + j), V::load(g + j), parameters));
          },
          [&](int64_t j, int n) {
            V::store(g + j, n,
                     F::template backward<V>(V::load(saved + j, n, 0), V::load(g + j, n, 0),
                                             parameters));
          });
    }
  }
}

template <class V, class F>
constexpr ActivationKernel<typename V::scalar> activation_kernel() {
  static_assert(count_names(F::parameters) <= kMaxParameters, "an activation's parameters");
  return {F::name,
          F::parameters,
          F::from_output,
          is_row_wise<F>,
          std::is_same_v<F, formulas::relu>,
          activation_forward<V, F>,
          activation_backward<V, F>};
}

// ---- losses ----

template <class Formula>
constexpr bool is_summed = requires { Formula::summed; };
template <class Formula>
constexpr bool takes_array = requires { Formula::array; };

// The mean over the outputs of f(prediction, target, numbers of arrays...), or their sum.
template <class F, class Samples, class V = typename Samples::vector, class T = typename V::scalar,
          class... Array>
V over_outputs(Samples& samples, const T* parameters, Array... array) {
  const V outputs = V::set1(is_summed<F> ? T(1) : static_cast<T>(samples.outputs()));
  const V factor = V::div(samples.scale(), outputs);
  const V sum = samples.sum([&](auto at) {
    const V y = samples.prediction(at);
    const V t = samples.target(at);
    return [&](auto... a) {
      if (samples.wants_gradient()) {
        samples.set_gradient(at, V::mul(factor, F::template gradient<V>(y, t, a..., parameters)));
      }
      return F::template loss<V>(y, t, a..., parameters);
    }(array(at)...);
  });
  return V::div(sum, outputs);
}

// The loss of a sample: the formula's own, or the one over its outputs.
template <class F, class Samples, class V = typename Samples::vector, class T = typename V::scalar>
V sample_loss(Samples& samples, const T* parameters) {
  if constexpr (is_row_wise<F>) {
    return F::loss(samples, parameters);
  } else if constexpr (takes_array<F>) {
    if (!samples.has_array()) return over_outputs<F>(samples, parameters);
    return over_outputs<F>(samples, parameters, [&](auto at) { return samples.of_array(at); });
  } else {
    return over_outputs<F>(samples, parameters);
  }
}

template <class V, class F, class T = typename V::scalar>
void loss_rows(const LossRows<T>& r) {
  int64_t i = 0;
  if constexpr (V::width > 1) {  // one lane is one sample either way
    if (r.outputs <= ThroughSamples<V>::kMostOutputs) {
      while (r.rows - i >= ThroughSamples<V>::kFewestSamples) {
        const int count = clamp_to_width<V>(r.rows - i);
        ThroughSamples<V> samples(r, i, count);
        samples.finish(sample_loss<F>(samples, r.parameters), r.sample_loss + i);
        i += count;
      }
    }
  }
  for (; i < r.rows; ++i) {
    AlongOutputs<V> samples(r, i);
    samples.finish(sample_loss<F>(samples, r.parameters), r.sample_loss + i);
  }
}

template <class V, class F>
constexpr LossKernel<typename V::scalar> loss_kernel() {
  static_assert(count_names(F::parameters) <= kMaxParameters, "a loss's parameters");
  LossKernel<typename V::scalar> kernel{
      F::name, F::parameters, F::targets, loss_rows<V, F>, "", LossArray::none, 1, -1, false};
  if constexpr (takes_array<F>) {
    kernel.array_name = F::array;
    kernel.array = LossArray::outputs;
  }
  if constexpr (requires { F::parts; }) kernel.parts = F::parts;
  if (kernel.parts == 0) kernel.array = LossArray::parts;
  if constexpr (requires { F::any_targets_if; }) kernel.any_targets_if = F::any_targets_if;
  if constexpr (requires { F::weighs_labels; }) kernel.weighs_labels = true;
  return kernel;
}

// ---- reductions ----

template <class V, class T = typename V::scalar>
T sum(int64_t size, const T* x) {
  return lane_sum<V>(size, [&](int64_t at, int n) { return load_lanes<V>(x, at, n, 0); });
}

template <class V, class T = typename V::scalar>
T sum_squares(int64_t size, const T* x) {
  return sum_of_lanes<V>(size, [&](V lane, int64_t at, int n) {
    const V v = load_lanes<V>(x, at, n, 0);
    return V::fma(v, v, lane);
  });
}

// x * 0 is 0 for a finite x and NaN for the rest, and NaN stays in a sum.
// Several sums, since an addition takes several cycles; their order does not matter.
template <class V, class T = typename V::scalar>
bool all_finite(int64_t size, const T* x) {
  constexpr int kSums = 4;
  const V zero = V::set1(0);
  V sums[kSums];
  for (V& sum : sums) sum = zero;
  int64_t i = 0;
  for (; size - i >= kSums * V::width; i += kSums * V::width) {
#pragma GCC unroll 4
    for (int k = 0; k < kSums; ++k) {
      sums[k] = V::fma(V::load(x + i + k * V::width), zero, sums[k]);
    }
  }
  for (; i < size; i += V::width) {
    const int n = clamp_to_width<V>(size - i);
    sums[0] = V::fma(load_lanes<V>(x, i, n, 0), zero, sums[0]);
  }
  const V sum = V::add(V::add(sums[0], sums[1]), V::add(sums[2], sums[3]));
  T lanes[V::width];
  V::store(lanes, sum);
  T probe = 0;
  for (const T lane : lanes) probe += lane;
  return probe == 0;
}

// Vectors [j, j + N), the last with n lanes. An addition takes several cycles, so that chains of
// several columns go side by side.
template <int N, class V, class T = typename V::scalar>
inline void column_sums(int64_t rows, const T* x, int64_t ldx, bool add, T* out, int n) {
  const auto load = [&](const T* row, int v) {
    return v == N - 1 ? load_lanes<V>(row, v * V::width, n, 0) : V::load(row + v * V::width);
  };
  V sum[N];
  for (int v = 0; v < N; ++v) sum[v] = V::set1(0);
  for (int64_t i = 0; i < rows; ++i, x += ldx) {
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v) sum[v] = V::add(sum[v], load(x, v));
  }
#pragma GCC unroll 4
  for (int v = 0; v < N; ++v) {
    if (add) sum[v] = V::add(load(out, v), sum[v]);
    V::store(out + v * V::width, v == N - 1 ? n : V::width, sum[v]);
  }
}

template <class V, class T = typename V::scalar>
void column_sum(int64_t rows, int64_t cols, const T* x, int64_t ldx, bool add, T* out) {
  constexpr int kTogether = 4;
  int64_t j = 0;
  for (; cols - j >= kTogether * V::width; j += kTogether * V::width) {
    column_sums<kTogether, V>(rows, x + j, ldx, add, out + j, V::width);
  }
  for (; j < cols; j += V::width) {
    column_sums<1, V>(rows, x + j, ldx, add, out + j, clamp_to_width<V>(cols - j));
  }
}

template <class V, class T = typename V::scalar>
void add_parts(int64_t size, const T* x, const T* parts, int64_t stride, int64_t count, T* sums) {
  const auto total = [&](int64_t i, int n) {
    V sum = load_lanes<V>(x, i, n, 0);
    for (int64_t k = 0; k < count; ++k) {
      sum = V::add(sum, load_lanes<V>(parts + k * stride, i, n, 0));
    }
    return sum;
  };
  for_vectors<V>(
      size, [&](int64_t i) { V::store(sums + i, total(i, V::width)); },
      [&](int64_t i, int n) { V::store(sums + i, n, total(i, n)); });
}

template <class V, class T = typename V::scalar>
void scale(int64_t size, T factor, T* x) {
  const V by = V::set1(factor);
  for_vectors<V>(
      size, [&](int64_t i) { V::store(x + i, V::mul(V::load(x + i), by)); },
      [&](int64_t i, int n) { V::store(x + i, n, V::mul(V::load(x + i, n, 0), by)); });
}

template <class V, class T = typename V::scalar>
constexpr ReduceKernels<T> reduce_kernels() {
  return {sum<V>, sum_squares<V>, all_finite<V>, column_sum<V>, add_parts<V>};
}

}  // namespace
}  // namespace gd::kernels

#pragma once

// Cosines and sines of numbers times frequencies, and their gradients. Included after an ISA's
// vec.hpp.

#include "kernels/lanes-inl.hpp"
#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

template <class V>
struct CosSin {
  V cos, sin;
};

// Of 2 pi t. A quarter turn is taken off exactly, so that large t lose no more digits than their
// own; the coefficients are those of docs/design/fit_polynomials.py.
template <class V>
[[gnu::always_inline]] inline CosSin<V> cos_sin_of_turns(V t) {
  using S = typename V::scalar;
  const V one = V::set1(S(1)), minus = V::set1(S(-1));
  const V quarters = V::round(V::mul(t, V::set1(S(4))));
  const V r = V::fma(quarters, V::set1(S(-0.25)), t);
  const V z = V::mul(r, r), z2 = V::mul(z, z);
  V p, q;
  if constexpr (kSinglePrecision<V>) {
    p = polynomial(z, z2, 6.2831855f, -41.341866f, 81.625595f, -76.77226f);
    q = polynomial(z, z2, -19.739208f, 64.93914f, -85.42312f, 58.56122f);
  } else {
    p = polynomial(z, z2, 6.283185307179586, -41.34170224039859, 81.60524927516214,
                   -76.70585948877175, 42.05865833688304, -15.092282563768164, 3.748346958743225);
    q = polynomial(z, z2, -19.739208802178716, 64.93939402266663, -85.45681720595798,
                   60.24464121921192, -26.426240197471316, 7.902578620132548, -1.6872609427686849);
  }
  const V s = V::mul(r, p);
  const V c = V::fma(z, q, one);
  // How many quarters beyond whole turns, from -2 to 2: each moves the cosine to minus the sine and
  // the sine to the cosine.
  const V turns = V::round(V::mul(quarters, V::set1(S(0.25))));
  const V m = V::fma(turns, V::set1(S(-4)), quarters);
  const typename V::Mask odd = V::eq(V::abs(m), one);
  const V up = V::set1(S(0.5)), far = V::set1(S(1.5));
  const V low = V::set1(S(-0.5)), deep = V::set1(S(-1.5));
  const V of_cos = V::select(V::gt(m, up), minus, V::select(V::lt(m, deep), minus, one));
  const V of_sin = V::select(V::lt(m, low), minus, V::select(V::gt(m, far), minus, one));
  return {V::mul(of_cos, V::select(odd, s, c)), V::mul(of_sin, V::select(odd, c, s))};
}

inline constexpr double kTwoPi = 6.283185307179586;

// Turns of frequencies [j, j + n) of a feature.
template <class V, class T>
inline V turns_at(const PeriodicRows<T>& p, T x, int64_t at, int n) {
  const V t = V::mul(load_lanes<V>(p.weight, at, n, 0), V::set1(x));
  if (p.phase == nullptr) return t;
  return V::fma(load_lanes<V>(p.phase, at, n, 0), V::set1(static_cast<T>(1 / kTwoPi)), t);
}

// y = cos(2 pi w x + b), or without b cos(2 pi w x) and beside it sin(2 pi w x), feature by
// feature.
template <class V, class T = typename V::scalar>
void periodic_forward(const PeriodicRows<T>& p) {
  const int64_t count = p.frequencies;
  const int64_t wide = p.phase == nullptr ? 2 * count : count;
  for (int64_t i = 0; i < p.rows; ++i) {
    for (int64_t f = 0; f < p.features; ++f) {
      T* const y = p.y + i * p.ldy + f * wide;
      const T x = p.x[i * p.ldx + f];
      const auto put = [&](int64_t j, int n) {
        const CosSin<V> both = cos_sin_of_turns(turns_at<V>(p, x, f * count + j, n));
        store_lanes<V>(y + j, n, both.cos);
        if (p.phase == nullptr) store_lanes<V>(y + count + j, n, both.sin);
      };
      for_vectors<V>(
          count, [&](int64_t j) { put(j, V::width); }, [&](int64_t j, int n) { put(j, n); });
    }
  }
}

// With a = 2 pi w x + b and d the gradient at a: each_phase = d and each_weight = 2 pi x d, whose
// sums over rows are the gradients at b and w, and gx = sum of 2 pi w d over frequencies.
template <class V, class T = typename V::scalar>
void periodic_backward(const PeriodicGradientRows<T>& p) {
  const PeriodicRows<T>& of = p.of;
  const int64_t count = of.frequencies;
  const int64_t wide = of.phase == nullptr ? 2 * count : count;
  const V full = V::set1(static_cast<T>(kTwoPi));
  for (int64_t i = 0; i < of.rows; ++i) {
    for (int64_t f = 0; f < of.features; ++f) {
      const T* const y = of.y + i * of.ldy + f * wide;
      const T* const g = p.g + i * p.ldg + f * wide;
      const T x = of.x[i * of.ldx + f];
      T* const each_weight = p.each_weight + i * p.ldw + f * count;
      T* const each_phase = of.phase == nullptr ? nullptr : p.each_phase + i * p.ldp + f * count;
      const V stretch = V::mul(full, V::set1(x));
      const auto put = [&](int64_t j, int n) {
        V d;
        if (of.phase == nullptr) {
          const V cosine = load_lanes<V>(y, j, n, 0), sine = load_lanes<V>(y, count + j, n, 0);
          const V by_cos = load_lanes<V>(g, j, n, 0), by_sin = load_lanes<V>(g, count + j, n, 0);
          d = V::sub(V::mul(cosine, by_sin), V::mul(sine, by_cos));
        } else {
          const V sine = cos_sin_of_turns(turns_at<V>(of, x, f * count + j, n)).sin;
          d = V::sub(V::set1(0), V::mul(sine, load_lanes<V>(g, j, n, 0)));
          store_lanes<V>(each_phase + j, n, d);
        }
        store_lanes<V>(each_weight + j, n, V::mul(stretch, d));
        return V::mul(V::mul(full, load_lanes<V>(of.weight, f * count + j, n, 0)), d);
      };
      const T sum = lane_sum<V>(count, put);
      if (p.gx != nullptr) p.gx[i * p.ldgx + f] = sum;
    }
  }
}

}  // namespace
}  // namespace gd::kernels

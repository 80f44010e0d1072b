#pragma once

// Loops over spans, and sums over 16 virtual lanes: element i belongs to lane i % 16 whatever the
// vector's width, and the lanes meet in one fixed tree. A long sum begins anew every kLongLanes
// elements, and the parts are added in pairs. Included after an ISA's vec.hpp.

#include <cstdint>

namespace gd::kernels {
namespace {

constexpr int kLanes = 16;
constexpr int64_t kLongLanes = 1 << 14;
static_assert(kLongLanes % kLanes == 0);

template <class V>
constexpr int clamp_to_width(int64_t n) {
  return n < 0 ? 0 : n > V::width ? V::width : static_cast<int>(n);
}

// body(i, n) for vectors at i with n valid lanes; n is V::width in all but the last.
template <class V, class Full, class Tail>
inline void for_vectors(int64_t size, Full full, Tail tail) {
  int64_t i = 0;
  for (; i + V::width <= size; i += V::width) full(i);
  if constexpr (V::width > 1) {  // one lane leaves nothing over, and compiles no tail
    if (i < size) tail(i, static_cast<int>(size - i));
  }
}

template <class V>
struct Lanes {
  static constexpr int parts = kLanes / V::width;
  using T = typename V::scalar;
  V part[parts];

  static Lanes all(T value) {
    Lanes lanes;
    for (int p = 0; p < parts; ++p) lanes.part[p] = V::set1(value);
    return lanes;
  }

  // lane = combine(lane, x[i]) for i in [begin, size); lanes beyond the end see `neutral`.
  template <class Combine>
  void absorb(int64_t size, T neutral, Combine combine, int64_t begin = 0) {
    int64_t i = begin;
    for (; i + kLanes <= size; i += kLanes) {
      for (int p = 0; p < parts; ++p) {
        const int64_t at = i + p * V::width;
        part[p] = combine(part[p], at, V::width, neutral);
      }
    }
    if (i == size) return;
    for (int p = 0; p < parts; ++p) {
      const int64_t at = i + p * V::width;
      part[p] = combine(part[p], at, clamp_to_width<V>(size - at), neutral);
    }
  }

  // combine(V, V): the upper half of the lanes joins the lower until one vector is left.
  template <class Combine>
  [[gnu::always_inline]] V joined(Combine combine) const {
    V left[parts];
    for (int p = 0; p < parts; ++p) left[p] = part[p];
#pragma GCC unroll 4
    for (int half = parts / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
      for (int p = 0; p < half; ++p) left[p] = combine(left[p], left[p + half]);
    }
    return left[0];
  }

  // combine(V, V) and combine(T, T): so until one lane is left.
  template <class Combine>
  [[gnu::always_inline]] T fold(Combine combine) const {
    T lanes[V::width];
    V::store(lanes, joined(combine));
#pragma GCC unroll 4
    for (int half = V::width / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
      for (int i = 0; i < half; ++i) lanes[i] = combine(lanes[i], lanes[i + half]);
    }
    return lanes[0];
  }

  T sum() const {
    struct {
      V operator()(V a, V b) const { return V::add(a, b); }
      T operator()(T a, T b) const { return a + b; }
    } add;
    return fold(add);
  }

  T max() const {
    struct {
      V operator()(V a, V b) const { return V::max(a, b); }
      T operator()(T a, T b) const { return a > b ? a : b; }
    } larger;
    return fold(larger);
  }
};

template <class V>
inline V load_lanes(const typename V::scalar* x, int64_t at, int n, typename V::scalar fill) {
  return n == V::width ? V::load(x + at) : V::load(x + at, n, fill);
}

// The sum of lanes that absorb all of [0, size), combine(lane, at, n) being given what has n <
// width elements too.
template <class V, class Combine>
inline typename V::scalar sum_of_lanes(int64_t size, Combine combine) {
  using T = typename V::scalar;
  T sums[64];  // of 1, 2, 4, ... parts, the longest first
  int count = 0;
  int64_t begin = 0;
  for (int64_t i = 0; i == 0 || begin < size; ++i) {
    const int64_t end = size - begin <= kLongLanes ? size : begin + kLongLanes;
    auto lanes = Lanes<V>::all(0);
    lanes.absorb(end, 0, [&](V lane, int64_t at, int n, T) { return combine(lane, at, n); }, begin);
    sums[count++] = lanes.sum();
    for (int64_t pairs = i; (pairs & 1) != 0; pairs >>= 1, --count) {
      sums[count - 2] += sums[count - 1];
    }
    begin = end;
  }
  for (; count > 1; --count) sums[count - 2] += sums[count - 1];
  return sums[0];
}

// A masked store takes several times as long as a plain one, whatever its mask.
template <class V>
inline void store_lanes(typename V::scalar* x, int n, V values) {
  n == V::width ? V::store(x, values) : V::store(x, n, values);
}

// sum_of_lanes of V::width rows of no more than kLongLanes elements, with combine(row, lane, at,
// n): element r is that of row r, to the bit. The rows meet in their trees at once, where one row
// after the other would wait for each addition.
template <class V, class Combine>
inline V sums_of_rows(int64_t size, Combine combine) {
  using T = typename V::scalar;
  V rows[V::width];
  for (int r = 0; r < V::width; ++r) {
    auto lanes = Lanes<V>::all(0);
    lanes.absorb(size, 0, [&](V lane, int64_t at, int n, T) { return combine(r, lane, at, n); });
    rows[r] = lanes.joined([](V a, V b) { return V::add(a, b); });
  }
  V::transpose(rows);
#pragma GCC unroll 4
  for (int half = V::width / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) rows[i] = V::add(rows[i], rows[i + half]);
  }
  return rows[0];
}

// sum over i of term(i-th vector), where term(at, n) has zeros in the lanes from n on.
template <class V, class Term>
inline typename V::scalar lane_sum(int64_t size, Term term) {
  return sum_of_lanes<V>(size,
                         [&](V lane, int64_t at, int n) { return V::add(lane, term(at, n)); });
}

template <class V>
inline typename V::scalar lane_max(int64_t size, const typename V::scalar* x) {
  using T = typename V::scalar;
  const T lowest = -static_cast<T>(__builtin_inff());
  auto lanes = Lanes<V>::all(lowest);
  lanes.absorb(size, lowest, [&](V lane, int64_t at, int n, T fill) {
    return V::max(load_lanes<V>(x, at, n, fill), lane);
  });
  return lanes.max();
}

}  // namespace
}  // namespace gd::kernels

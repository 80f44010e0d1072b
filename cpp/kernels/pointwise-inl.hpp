#pragma once

// What layers do to single elements of rows, without a function. Included after an ISA's vec.hpp.

#include "kernels/lanes-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// to = f(vectors of a) by rows.
template <class V, class T, class F>
inline void map_rows(const ElementRows<T>& p, F f) {
  for (int64_t i = 0; i < p.rows; ++i) {
    const T* const a = p.a + i * p.lda;
    const T* const b = p.b == nullptr ? nullptr : p.b + i * p.ldb;
    T* const to = p.to + i * p.ldto;
    for_vectors<V>(
        p.cols, [&](int64_t j) { V::store(to + j, f(a, b, j, V::width)); },
        [&](int64_t j, int n) { V::store(to + j, n, f(a, b, j, n)); });
  }
}

template <class V, class T = typename V::scalar>
void add_rows(const ElementRows<T>& p) {
  map_rows<V>(p, [](const T* a, const T* b, int64_t j, int n) {
    return V::add(load_lanes<V>(a, j, n, 0), load_lanes<V>(b, j, n, 0));
  });
}

template <class V, class T = typename V::scalar>
void scale_rows(const ElementRows<T>& p) {
  const V by = V::set1(p.factor);
  map_rows<V>(p, [&](const T* a, const T*, int64_t j, int n) {
    return V::mul(load_lanes<V>(a, j, n, 0), by);
  });
}

}  // namespace
}  // namespace gd::kernels

#pragma once

// Rows of tables: copied to where codes ask for them, and sums of rows of a batch by code. Included
// after an ISA's vec.hpp.

#include "kernels/lanes-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

template <class T>
inline const T* looked_up(const LookupRows<T>& p, const LookupTable& table, T code) {
  return p.parameters + table.offset + static_cast<int64_t>(code) * table.width;
}

template <class V, class T = typename V::scalar>
void lookup(const LookupRows<T>& p) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t i = 0; i < p.rows; ++i) {
    const T* const codes = p.codes + i * p.ldc;
    T* const y = p.y + i * p.ldy;
    if (i + 1 < p.rows) {
      for (int64_t k = 0; k < p.tables; ++k) {
        const LookupTable& table = p.table[k];
        if (!table.is_large) continue;
        const T* const next = looked_up(p, table, codes[p.ldc + k]);
        for (int64_t j = 0; j < table.width; j += kLine) __builtin_prefetch(next + j);
      }
    }
    for (int64_t k = 0; k < p.tables; ++k) {
      const LookupTable& table = p.table[k];
      const T* const from = looked_up(p, table, codes[k]);
      T* const to = y + table.column;
      for_vectors<V>(
          table.width, [&](int64_t j) { V::store(to + j, V::load(from + j)); },
          [&](int64_t j, int n) { V::store(to + j, n, V::load(from + j, n, 0)); });
    }
  }
}

template <class V>
inline V added(V sum, V x, const TableEntry&) {
  return V::add(sum, x);
}

template <class V, class T = typename V::scalar>
inline V added(V sum, V x, const WeightedEntry<T>& entry) {
  return V::fma(V::set1(entry.weight), x, sum);
}

// The sums of `Count` vectors of columns from j on, the last of n lanes.
template <class V, int Count, class T, class Entry>
inline void entry_sum_block(const EntrySum<T, Entry>& p, int64_t j, int n) {
  V sum[Count];
  for (int v = 0; v < Count; ++v) sum[v] = V::set1(0);
  for (int64_t e = 0; e < p.count; ++e) {
    const T* const from = p.from + static_cast<int64_t>(p.entries[e].row) * p.ldf + j;
    for (int v = 0; v < Count; ++v) {
      const int lanes = v + 1 < Count ? V::width : n;
      sum[v] = added(sum[v], load_lanes<V>(from, v * V::width, lanes, 0), p.entries[e]);
    }
  }
  for (int v = 0; v < Count; ++v) {
    const int lanes = v + 1 < Count ? V::width : n;
    T* const to = p.to + j + v * V::width;
    if (p.add) sum[v] = V::add(load_lanes<V>(to, 0, lanes, 0), sum[v]);
    store_lanes<V>(to, lanes, sum[v]);
  }
}

template <class V, class Entry, class T = typename V::scalar>
void entry_sum(const EntrySum<T, Entry>& p) {
  constexpr int kBlock = 4;
  int64_t j = 0;
  for (; j + kBlock * V::width <= p.width; j += kBlock * V::width) {
    entry_sum_block<V, kBlock>(p, j, V::width);
  }
  for (; j + V::width <= p.width; j += V::width) entry_sum_block<V, 1>(p, j, V::width);
  if (j < p.width) entry_sum_block<V, 1>(p, j, static_cast<int>(p.width - j));
}

template <class V, int Count, class T>
inline void sparse_row_block(const SparseRow<T>& p, int64_t j, int n) {
  V sum[Count];
  for (int v = 0; v < Count; ++v) sum[v] = V::set1(0);
  for (int64_t e = 0; e < p.count; ++e) {
    const T* const from = p.weight + p.columns[e] * p.units + j;
    const V value = V::set1(p.values[e]);
    for (int v = 0; v < Count; ++v) {
      const int lanes = v + 1 < Count ? V::width : n;
      sum[v] = V::fma(value, load_lanes<V>(from, v * V::width, lanes, 0), sum[v]);
    }
  }
  for (int v = 0; v < Count; ++v) {
    const int lanes = v + 1 < Count ? V::width : n;
    const int64_t at = j + v * V::width;
    if (p.bias != nullptr) sum[v] = V::add(sum[v], load_lanes<V>(p.bias, at, lanes, 0));
    if (lanes == V::width) {
      V::store(p.y + at, sum[v]);
    } else {
      V::store(p.y + at, lanes, sum[v]);
    }
  }
}

template <int Count>
struct Blocks {};

// As many vectors at a time as there are registers for.
template <class V, class T = typename V::scalar>
void sparse_row(const SparseRow<T>& p) {
  int64_t j = 0;
  const auto blocks = [&]<int Count>(Blocks<Count>) {
    constexpr int64_t size = Count * V::width;
    for (; j + size <= p.units; j += size) sparse_row_block<V, Count>(p, j, V::width);
  };
  blocks(Blocks<8>());
  blocks(Blocks<4>());
  blocks(Blocks<2>());
  blocks(Blocks<1>());
  if (j < p.units) sparse_row_block<V, 1>(p, j, static_cast<int>(p.units - j));
}

}  // namespace
}  // namespace gd::kernels

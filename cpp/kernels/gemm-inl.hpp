#pragma once

// The register tile of a matmul, written once over Vec<T>. Included after an ISA's vec.hpp.
// rows x vectors accumulators stay in registers: each step of the depth loads `vectors` vectors of
// B, broadcasts one element of A a row, and does rows * vectors fused multiply-adds.

#include <cstdint>

#include "kernels/formulas/activations/relu.hpp"
#include "kernels/hints-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

// Rows of A that one pointer reaches with the addresses a load can have: base + row * {0, 1, 2, 3,
// 4}, where 3 rows are a register of their own. More pointers than needed would go to the stack,
// and the compiler's way there and back takes the multipliers' place.
constexpr int kRowsAPointer = 5;

// A tile of so many rows has room for a prefetch beside its multiply-adds.
constexpr int kLeastRowsThatFetch = 8;

template <class V, int Rows, int Vectors, bool Tail, bool PackedA>
__attribute__((noinline)) void gemm_tile(const GemmTile<typename V::scalar>& tile) {
  using T = typename V::scalar;
  constexpr int W = V::width;
  const int last = tile.cols - (Vectors - 1) * W;  // lanes of the last vector
  const auto load_row = [&](const T* row, V* v) {
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) {
      v[j] = Tail && j == Vectors - 1 ? V::load(row + j * W, last, 0) : V::load(row + j * W);
    }
  };
  const auto store_row = [&](T* row, const V* v) {
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) {
      if (Tail && j == Vectors - 1) {
        V::store(row + j * W, last, v[j]);
      } else {
        V::store(row + j * W, v[j]);
      }
    }
  };
  // body(sums, row of a matrix of C's shape) for all rows of the tile.
  V sum[Rows][Vectors];
  const auto each_row = [&](auto* row, int64_t stride, auto&& body) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i, row += stride) body(sum[i], row);
  };

  if (tile.chain == Chain::go_on) {
    const T* const from = tile.before != nullptr ? tile.before : tile.c;
    const int64_t stride = tile.before != nullptr ? tile.ld_before : tile.ldc;
    each_row(from, stride, [&](V* sums, const T* row) { load_row(row, sums); });
  } else {
    each_row(tile.c, 0, [&](V* sums, const T*) {
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) sums[j] = V::set1(0);
    });
  }

  const T* b = tile.b;
  const int64_t b_depth = tile.b_depth;
  const int64_t a_depth = tile.a_depth;
  const int64_t a_row = PackedA ? 1 : tile.a_row;
  constexpr int kPointers = PackedA ? 1 : (Rows + kRowsAPointer - 1) / kRowsAPointer;
  const T* a[kPointers];
  for (int g = 0; g < kPointers; ++g) {
    a[g] = tile.a + g * kRowsAPointer * a_row;
    keep_apart(a[g]);
  }
  const auto add_products = [&](auto&& fetch) {
    for (int64_t k = tile.depth; k > 0; --k) {
      V bk[Vectors];
      load_row(b, bk);
      fetch();
#pragma GCC unroll 16
      for (int i = 0; i < Rows; ++i) {
        const T* const row = PackedA ? a[0] + i : a[i / kRowsAPointer] + i % kRowsAPointer * a_row;
        const V aik = V::set1(*row);
#pragma GCC unroll 8
        for (int j = 0; j < Vectors; ++j) sum[i][j] = V::fma(aik, bk[j], sum[i][j]);
      }
      b += b_depth;
#pragma GCC unroll 4
      for (int g = 0; g < kPointers; ++g) a[g] += a_depth;
    }
  };
  if (Rows >= kLeastRowsThatFetch && tile.ahead != nullptr) {
    const char* ahead = reinterpret_cast<const char*>(tile.ahead);
    add_products([&] {
      __builtin_prefetch(ahead, 0, kIntoL2);
      ahead += kLineBytes;
    });
  } else {
    add_products([] {});
  }

  if (tile.chain == Chain::add_part) {
    const T* const from = tile.before != nullptr ? tile.before : tile.c;
    const int64_t stride = tile.before != nullptr ? tile.ld_before : tile.ldc;
    each_row(from, stride, [&](V* sums, const T* row) {
      V had[Vectors];
      load_row(row, had);
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) sums[j] = V::add(had[j], sums[j]);
    });
  }
  if (tile.bias != nullptr) {
    V bias[Vectors];
    load_row(tile.bias, bias);
    each_row(tile.c, 0, [&](V* sums, const T*) {
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) sums[j] = V::add(sums[j], bias[j]);
    });
  }
  if (tile.finish == Finish::relu) {
    each_row(tile.c, 0, [&](V* sums, const T*) {
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) {
        sums[j] = formulas::relu::forward<V>(sums[j], nullptr);
      }
    });
  } else if (tile.finish == Finish::relu_gradient) {
    each_row(tile.saved, tile.lds, [&](V* sums, const T* row) {
      V saved[Vectors];
      load_row(row, saved);
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) {
        sums[j] = formulas::relu::backward<V>(saved[j], sums[j], nullptr);
      }
    });
  }
  each_row(tile.c, tile.ldc, [&](const V* sums, T* row) { store_row(row, sums); });
}

// The compiled tiles of 1 to Rows rows.
template <class V, int Rows, int Vectors, bool Tail, bool PackedA>
struct TileHeights {
  using Tile = void (*)(const GemmTile<typename V::scalar>&);
  Tile of[Rows];
  constexpr TileHeights() { fill<1>(); }

 private:
  template <int I>
  constexpr void fill() {
    of[I - 1] = gemm_tile<V, I, Vectors, Tail, PackedA>;
    if constexpr (I < Rows) fill<I + 1>();
  }
};

template <class V, int Rows, int Vectors, bool Tail, bool PackedA>
void gemm_rows(const GemmTile<typename V::scalar>& tile) {
  static constexpr TileHeights<V, Rows, Vectors, Tail, PackedA> heights;
  heights.of[tile.rows - 1](tile);
}

template <class V, int Rows, int Vectors>
void gemm_columns(const GemmTile<typename V::scalar>& tile) {
  constexpr bool kTails = V::width > 1;  // else no tile is compiled for them
  const bool tail = tile.cols != Vectors * V::width;
  if (Vectors > 1 && tile.cols <= (Vectors - 1) * V::width) {
    if constexpr (Vectors > 1) gemm_columns<V, Rows, Vectors - 1>(tile);
  } else if (tile.a_row == 1) {
    tail ? gemm_rows<V, Rows, Vectors, kTails, true>(tile)
         : gemm_rows<V, Rows, Vectors, false, true>(tile);
  } else {
    tail ? gemm_rows<V, Rows, Vectors, kTails, false>(tile)
         : gemm_rows<V, Rows, Vectors, false, false>(tile);
  }
}

}  // namespace
}  // namespace gd::kernels

#pragma once

// C = A B, cut into tiles that the workers of a team share. An element of C is one chain of fused
// multiply-adds in increasing k, or, where `part` says so or k is large, a sum in order of chains
// over parts of that length. So the result does not depend on tiles, workers or blocks.

#include <cstdint>
#include <span>
#include <string>

#include "base/function_ref.hpp"
#include "ops/collective.hpp"

namespace gd::ops {

// The error of a sum grows with the additions that its terms go through. So a chain of more
// products than kLongestChain begins anew every kLongPart, no shorter than the blocks of AVX2 and
// AVX-512, so that it costs nothing. And parts, of whatever length, are added to a sum that begins
// anew every kLongSum products; those sums are added in order, and the parts of the last to them.
inline constexpr int64_t kLongestChain = 1 << 14;
inline constexpr int64_t kLongPart = 1 << 10;
inline constexpr int64_t kLongSum = 1 << 18;

// What happens to a tile of C while it is in cache.
template <class T>
struct Epilogue {
  enum class Kind : uint8_t { none, forward, backward };
  Kind kind = Kind::none;
  const kernels::ActivationKernel<T>* activation = nullptr;
  const T* parameters = nullptr;
  T* output = nullptr;       // forward: f(C) goes here, (m, n); may be C itself
  const T* saved = nullptr;  // backward: C = C * f'(saved), (m, n)
  int64_t stride = 0;        // of output or saved
};

// How a matrix lies in memory: strided, in panels (base/panels.hpp), or as the transpose of one in
// panels.
enum class Layout : uint8_t { strided, panels, panels_transposed };

// Strided operands: element (i, k) of A at a[i * a_row + k * a_col], (k, j) of B likewise.
template <class T>
struct GemmProblem {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  const T* a = nullptr;
  int64_t a_row = 0;
  int64_t a_col = 1;
  const T* b = nullptr;
  int64_t b_row = 0;
  int64_t b_col = 1;
  Layout b_layout = Layout::strided;  // strides are unused where it is not
  T* c = nullptr;                     // (m, n), row-major or in panels
  int64_t c_row = 0;
  Layout c_layout = Layout::strided;
  const T* bias = nullptr;  // (n,), added after the last product
  int products = 0;         // of bfloat16 numbers, see bf16_products; 0: of T
  int64_t part = 0;         // 0: one chain over all of k, up to kLongestChain
  bool accumulate = false;  // C = C + parts; needs part > 0
  // Gets each finished piece of a C in panels, where it begins and its elements, while it is in
  // cache; of a product that takes one pass over k nothing is then written to c. Not together with
  // accumulate.
  const base::FunctionRef<void(int64_t, std::span<const T>)>* consume = nullptr;
  Epilogue<T> epilogue;
};

// How C is cut: `rows` x `columns` tiles of nearly equal size, counted column by column, so that a
// worker's own tiles are columns next to each other: the same ones of a layer's output, of its
// weights and of their gradient. Each tile packs what it reads of A and B, or, with one column of
// tiles, the workers pack B together and meet before they read it.
struct GemmTiles {
  int rows = 1;
  int columns = 1;
  bool share_b = false;  // needs columns == 1, and row tiles of at most mc rows
  int64_t count() const { return int64_t{rows} * columns; }
};

// `packs_b`: false where B lies in panels, which are read in place.
template <class T>
GemmTiles gemm_tiles(int64_t m, int64_t n, int64_t k, int workers, bool packs_b = true,
                     int products = 0);

// What each worker needs: elements, whole cache lines, for panels of A, panels of B, the piece of C
// that goes to a sink, and the next part of a very long sum.
struct GemmScratchSize {
  int64_t a = 0;
  int64_t b = 0;
  int64_t piece = 0;
  int64_t sum = 0;  // of C, where a sum begins anew

  int64_t all() const { return a + b + piece + sum; }
  // Grows to what either needs.
  void cover(const GemmScratchSize& other);
};

// For products of at most that size.
template <class T>
GemmScratchSize gemm_scratch_size(int64_t m, int64_t n, int64_t k, int products = 0);

// How exactly float32 is multiplied: as it is, as three products of bfloat16 parts, or rounded to
// bfloat16. Sums are float32 always.
enum class Precision : uint8_t { highest, high, medium };
Precision precision_named(const std::string& name);  // ValueError for another name

// How many bfloat16 products (1 or 3) a product of that size is to be made of, 0 where float32 does
// it: because it is asked for, no unit is at hand, or it would be slower.
int bf16_products(Precision precision, int64_t m, int64_t n, int64_t k);

// The packing buffers of all workers, one after the other.
template <class T>
struct GemmScratch {
  T* data = nullptr;     // aligned to a cache line; size.all() elements for each worker
  GemmScratchSize size;  // covers gemm_scratch_size of the problem
};

// All workers together or, unless they share B, those who come.
template <class T>
void gemm(Worker& worker, TileQueue& queue, const GemmTiles& tiles, const GemmProblem<T>& problem,
          const GemmScratch<T>& scratch);

}  // namespace gd::ops

#pragma once

#include "base/aligned_buffer.hpp"
#include "ops/gemm.hpp"

namespace gd::optim {

// A = L L^T of a symmetric matrix (n, n), row-major, of which the lower half is read and becomes L.
// In panels of a fixed width, each followed by one product for what is right of it: the bits depend
// on n alone.
template <class T>
class Cholesky {
 public:
  Cholesky(int64_t n, int max_workers);
  int64_t bytes() const { return work_.bytes(); }
  static int64_t bytes_for(int64_t n, int max_workers);

  // False where A is not positive definite; then what it holds says nothing.
  bool factor(T* a, int workers);
  // x = A^-1 x with the L of factor, on one thread.
  void solve(const T* l, T* x) const;

 private:
  static constexpr int64_t kWidth = 64;

  bool factor_block(T* a, int64_t begin, int64_t width);
  void solve_row(T* row, int64_t width) const;

  int64_t n_;
  ops::GemmScratchSize scratch_size_;
  base::AlignedBuffer<T> work_;
  T* transposed_;  // of the panel's L, (kWidth, kWidth)
  T* negative_;    // the rows below it, (n, kWidth), with the other sign
  ops::GemmScratch<T> scratch_;
  ops::TileQueue rows_queue_;
  ops::TileQueue tiles_queue_;
};

}  // namespace gd::optim

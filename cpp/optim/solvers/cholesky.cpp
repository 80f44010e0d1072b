#include "optim/solvers/cholesky.hpp"

#include <algorithm>
#include <cmath>

#include "optim/solvers/vectors.hpp"

namespace gd::optim {

namespace {

constexpr int64_t kRowsAtOnce = 32;

template <class T>
ops::GemmScratchSize scratch_for(int64_t n, int64_t width) {
  return ops::gemm_scratch_size<T>(std::max<int64_t>(n, 1), width, width);
}

}  // namespace

template <class T>
int64_t Cholesky<T>::bytes_for(int64_t n, int max_workers) {
  const int64_t size =
      kWidth * kWidth + base::padded<T>(n) * kWidth + max_workers * scratch_for<T>(n, kWidth).all();
  return size * static_cast<int64_t>(sizeof(T));
}

template <class T>
Cholesky<T>::Cholesky(int64_t n, int max_workers)
    : n_(n),
      scratch_size_(scratch_for<T>(n, kWidth)),
      work_(bytes_for(n, max_workers) / static_cast<int64_t>(sizeof(T))),
      transposed_(work_.data()),
      negative_(transposed_ + kWidth * kWidth),
      scratch_{negative_ + base::padded<T>(n) * kWidth, scratch_size_},
      rows_queue_(max_workers),
      tiles_queue_(max_workers) {}

// A block on the diagonal, and its transpose beside.
template <class T>
bool Cholesky<T>::factor_block(T* a, int64_t begin, int64_t width) {
  T* const block = a + begin * n_ + begin;
  for (int64_t j = 0; j < width; ++j) {
    const T pivot = block[j * n_ + j];
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    const T root = std::sqrt(pivot);
    T* const column = transposed_ + j * kWidth;
    block[j * n_ + j] = column[j] = root;
    for (int64_t i = j + 1; i < width; ++i)
      block[i * n_ + j] = column[i] = block[i * n_ + j] / root;
    for (int64_t i = j + 1; i < width; ++i) {
      T* const row = block + i * n_;
      const T factor = column[i];
      for (int64_t k = j + 1; k <= i; ++k) row[k] -= factor * column[k];
    }
  }
  return true;
}

// row = row L^-T
template <class T>
void Cholesky<T>::solve_row(T* row, int64_t width) const {
  for (int64_t j = 0; j < width; ++j) {
    const T* const column = transposed_ + j * kWidth;
    const T value = row[j] / column[j];
    row[j] = value;
    for (int64_t k = j + 1; k < width; ++k) row[k] -= value * column[k];
  }
}

template <class T>
bool Cholesky<T>::factor(T* a, int workers) {
  for (int64_t begin = 0; begin < n_; begin += kWidth) {
    const int64_t width = std::min(kWidth, n_ - begin);
    if (!factor_block(a, begin, width)) return false;
    const int64_t end = begin + width;
    const int64_t below = n_ - end;
    if (below == 0) break;
    rows_queue_.reset();
    const auto body = [&](ops::Worker& worker) {
      rows_queue_.for_each(worker, (below + kRowsAtOnce - 1) / kRowsAtOnce, [&](int64_t tile) {
        const int64_t last = std::min(end + (tile + 1) * kRowsAtOnce, n_);
        for (int64_t i = end + tile * kRowsAtOnce; i < last; ++i) {
          T* const row = a + i * n_ + begin;
          solve_row(row, width);
          for (int64_t k = 0; k < width; ++k) negative_[i * kWidth + k] = -row[k];
        }
      });
      // The lower half of what is left, panel by panel.
      for (int64_t left = end; left < n_; left += kWidth) {
        worker.barrier();
        if (worker.index() == 0) tiles_queue_.reset();
        worker.barrier();
        ops::GemmProblem<T> product;
        product.m = n_ - left;
        product.n = std::min(kWidth, n_ - left);
        product.k = width;
        product.a = negative_ + left * kWidth;
        product.a_row = kWidth;
        product.b = a + left * n_ + begin;  // transposed
        product.b_row = 1;
        product.b_col = n_;
        product.c = a + left * n_ + left;
        product.c_row = n_;
        product.part = kWidth;
        product.accumulate = true;
        const ops::GemmTiles tiles =
            ops::gemm_tiles<T>(product.m, product.n, product.k, worker.count());
        ops::gemm(worker, tiles_queue_, tiles, product, scratch_);
      }
    };
    if (workers == 1) {
      ops::Worker alone;
      body(alone);
    } else {
      ops::run_collective(*parallel::acquire_team(workers), body);
    }
  }
  return true;
}

template <class T>
void Cholesky<T>::solve(const T* l, T* x) const {
  for (int64_t i = 0; i < n_; ++i) {
    const T* const row = l + i * n_;
    x[i] =
        static_cast<T>((static_cast<double>(x[i]) - dot(i, row, x)) / static_cast<double>(row[i]));
  }
  for (int64_t i = n_ - 1; i >= 0; --i) {
    const T* const row = l + i * n_;
    const T value = x[i] / row[i];
    x[i] = value;
    for (int64_t k = 0; k < i; ++k) x[k] -= value * row[k];
  }
}

template class Cholesky<double>;

}  // namespace gd::optim

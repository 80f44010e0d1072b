#pragma once

// Everything but matmul: passes that all workers of a team make together over rows, columns or a
// flat span.

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/function_ref.hpp"
#include "base/matrix_view.hpp"
#include "ops/collective.hpp"
#include "ops/extents.hpp"
#include "ops/seen_rows.hpp"

namespace gd::ops {

using base::MatrixView;

// Calls pass(begin, count) for some rows at a time of a matrix so wide, until all are done.
void for_rows(Worker& worker, TileQueue& queue, int64_t rows, int64_t cols,
              base::FunctionRef<void(int64_t, int64_t)> pass);

// a = f(z); a may be z. (rows, cols) both.
template <class T>
void activation_forward(Worker& worker, TileQueue& queue,
                        const kernels::ActivationKernel<T>& activation, const T* parameters,
                        MatrixView<const T> z, MatrixView<T> a);

// g = g * f'(saved), or the row-wise equivalent. (rows, cols) both.
template <class T>
void activation_backward(Worker& worker, TileQueue& queue,
                         const kernels::ActivationKernel<T>& activation, const T* parameters,
                         MatrixView<const T> saved, MatrixView<T> g);

// Each sample's loss and, if wanted, the gradient of the batch's loss with respect to predictions.
template <class T>
void loss(Worker& worker, TileQueue& queue, const kernels::LossKernel<T>& loss,
          const kernels::LossRows<T>& rows);

// out[j] = (accumulate ? out[j] : 0) + sum over rows of x[i, j], in parts of `part` rows in order,
// and anew every kLongSum rows, as a matmul's over k (ops/gemm.hpp).
// finished(begin, size) is called for each piece of out by the worker that made it.
template <class T>
void column_sum(Worker& worker, TileQueue& queue, MatrixView<const T> x, int64_t part,
                bool accumulate, T* out, base::FunctionRef<void(int64_t, int64_t)> finished);

// One pass of an elementwise update rule over the extents of flat buffers; `span` has the buffers'
// beginnings and the scalars.
template <class T>
void update(Worker& worker, TileQueue& queue, const kernels::RuleKernel<T>& rule, int variant,
            const kernels::RuleSpan<T>& span, Extents extents);

// sum[i] = x[i] + parts[i] + parts[stride + i] + ..., `count` of them, in this order, by one
// worker; sum may be x.
template <class T>
void add_parts(std::span<const T> x, const T* parts, int64_t stride, int64_t count, T* sum);

// What clip_norm needs between its two passes.
class ClipState {
 public:
  ClipState(int64_t size, int max_workers);  // up to the end of the last extent
  void reset();

 private:
  template <class T>
  friend double clip_norm(Worker&, ClipState&, double, T*, const Seen&);

  TileQueue sum_queue_;
  TileQueue scale_queue_;
  std::vector<double> sums_;  // of the squares of each piece
};

// x = x min(1, max_norm / (norm + 1e-6)) with the Euclidean norm of all that x is of, as PyTorch's
// clip_grad_norm_ does; also where the squares are beyond T. Returns the norm before.
// Waits for all workers in between.
template <class T>
double clip_norm(Worker& worker, ClipState& state, double max_norm, T* x, const Seen& seen);

// start + w[0] x[0] + w[1] x[1] + ..., on one thread, in double and in this order; without weights
// start + x[0] + x[1] + ...
template <class T>
double weighted_sum(std::span<const T> x, const T* weights, double start = 0);

// Whether no element is NaN or infinite.
template <class T>
bool all_finite(std::span<const T> x);

// The same of a flat buffer's extents.
template <class T>
bool all_finite(const T* flat, Extents extents);

// x[0] + x[1] + ..., in T.
template <class T>
T sum(std::span<const T> x);

// x[0]^2 + x[1]^2 + ..., in T: infinite where that overflows.
template <class T>
T sum_squares(std::span<const T> x);

// Whether none is NaN or infinite, by all workers together; `finite` comes in true and goes out
// false where it is not.
template <class T>
void all_finite(Worker& worker, TileQueue& queue, std::span<const T> x, std::atomic<bool>& finite);

}  // namespace gd::ops

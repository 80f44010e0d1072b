#include "ops/elementwise.hpp"

#include <algorithm>
#include <cmath>

#include "ops/gemm.hpp"
#include "parallel/partition.hpp"

namespace gd::ops {

namespace {

using parallel::Range;

// Elements a worker takes at a time: 16 KB of floats, a few microseconds of work.
constexpr int64_t kGrain = 4096;

// Of a loss, whose exponentials take longer.
constexpr int64_t kLossGrain = 256;

// Calls f(range) over [0, total) in pieces of at least `least`, each a multiple of it.
template <class F>
void for_ranges(Worker& worker, TileQueue& queue, int64_t total, int64_t least, F&& f) {
  if (worker.count() == 1) {
    if (total > 0) f(Range{0, total});
    return;
  }
  const int64_t pieces = (total + least - 1) / least;
  queue.for_each(worker, pieces, [&](int64_t piece) {
    f(Range{piece * least, std::min((piece + 1) * least, total)});
  });
}

int64_t rows_a_piece(int64_t cols, int64_t grain = kGrain) {
  return std::max<int64_t>(1, grain / std::max<int64_t>(1, cols));
}

}  // namespace

void for_rows(Worker& worker, TileQueue& queue, int64_t rows, int64_t cols,
              base::FunctionRef<void(int64_t, int64_t)> pass) {
  for_ranges(worker, queue, rows, rows_a_piece(cols),
             [&](Range range) { pass(range.begin, range.size()); });
}

template <class T>
void activation_forward(Worker& worker, TileQueue& queue,
                        const kernels::ActivationKernel<T>& activation, const T* parameters,
                        MatrixView<const T> z, MatrixView<T> a) {
  for_ranges(worker, queue, z.rows, rows_a_piece(z.cols), [&](Range rows) {
    activation.forward(rows.size(), z.cols, z.row(rows.begin), z.stride, a.row(rows.begin),
                       a.stride, parameters);
  });
}

template <class T>
void activation_backward(Worker& worker, TileQueue& queue,
                         const kernels::ActivationKernel<T>& activation, const T* parameters,
                         MatrixView<const T> saved, MatrixView<T> g) {
  for_ranges(worker, queue, g.rows, rows_a_piece(g.cols), [&](Range rows) {
    activation.backward(rows.size(), g.cols, saved.row(rows.begin), saved.stride, g.row(rows.begin),
                        g.stride, parameters);
  });
}

template <class T>
void loss(Worker& worker, TileQueue& queue, const kernels::LossKernel<T>& loss,
          const kernels::LossRows<T>& rows) {
  // Whole vectors of samples, see samples-inl.hpp.
  constexpr int64_t kSamples = 16;
  const int64_t least = rows_a_piece(rows.outputs, kLossGrain);
  const int64_t whole = (least + kSamples - 1) / kSamples * kSamples;
  // A call would be a third of what this takes of one sample.
  for_ranges(worker, queue, rows.rows, whole, [&](Range range) __attribute__((always_inline)) {
    const int64_t i = range.begin;
    kernels::LossRows<T> part = rows;
    part.rows = range.size();
    part.prediction += i * rows.ldp;
    part.sample_loss += i;
    if (rows.target != nullptr) part.target += i * rows.ldt;
    if (rows.labels != nullptr) part.labels += i;
    if (rows.weights != nullptr) part.weights += i;
    if (rows.gradient != nullptr) part.gradient += i * rows.ldg;
    loss.run(part);
  });
}

template <class T>
void column_sum(Worker& worker, TileQueue& queue, MatrixView<const T> x, int64_t part,
                bool accumulate, T* out, base::FunctionRef<void(int64_t, int64_t)> finished) {
  constexpr int64_t columns_a_piece = 64;
  const auto& reduce = kernels::kernels().of<T>().reduce;
  // Of rows [begin, end), which go on from what is in `to` or not.
  const auto sum = [&](Range columns, int64_t begin, int64_t end, bool goes_on, T* to) {
    int64_t i = begin;
    do {  // once even without rows: the sum is then zero
      const int64_t rows = std::min(part, end - i);
      reduce.column_sum(rows, columns.size(), x.row(i) + columns.begin, x.stride,
                        goes_on || i > begin, to);
      i += rows;
    } while (i < end);
  };
  for_ranges(worker, queue, x.cols, columns_a_piece, [&](Range columns) {
    int64_t end = std::min(kLongSum, x.rows);
    sum(columns, 0, end, accumulate, out + columns.begin);
    for (; end < x.rows - kLongSum; end += kLongSum) {
      for (int64_t j = columns.begin; j < columns.end; j += columns_a_piece) {
        const Range some{j, std::min(j + columns_a_piece, columns.end)};
        T beside[columns_a_piece];
        sum(some, end, end + kLongSum, false, beside);
        reduce.add_parts(some.size(), out + j, beside, 0, 1, out + j);
      }
    }
    if (end < x.rows) sum(columns, end, x.rows, true, out + columns.begin);
    finished(columns.begin, columns.size());
  });
}

template <class T>
void update(Worker& worker, TileQueue& queue, const kernels::RuleKernel<T>& rule, int variant,
            const kernels::RuleSpan<T>& span, Extents extents) {
  const int states = kernels::kMaxStates;
  for_ranges(worker, queue, extents_end(extents), kGrain, [&](Range range) {
    for_extents(extents, range, [&](Range run) {
      kernels::RuleSpan<T> part = span;
      part.size = run.size();
      part.weights += run.begin;
      part.gradients += run.begin;
      for (int s = 0; s < states; ++s) {
        if (part.states[s] != nullptr) part.states[s] += run.begin;
      }
      rule.update[variant](part);
    });
  });
}

ClipState::ClipState(int64_t size, int max_workers)
    : sum_queue_(max_workers),
      scale_queue_(max_workers),
      sums_(static_cast<size_t>((size + kGrain - 1) / kGrain)) {}

void ClipState::reset() {
  sum_queue_.reset();
  scale_queue_.reset();
}

namespace {

// The norm of numbers whose squares are beyond T, by one worker: scaled by the largest of them.
template <class T>
double scaled_norm(const T* x, const Seen& seen) {
  const Range all{0, seen.end()};
  double largest = 0;
  double squares = 0;
  const auto absolute = [](T value) { return std::abs(static_cast<double>(value)); };
  seen.for_runs(all, [&](Range run) {
    for (int64_t i = run.begin; i < run.end; ++i) {
      const double value = absolute(x[i]);
      largest = value > largest || std::isnan(value) ? value : largest;
    }
  });
  if (!(largest > 0) || std::isinf(largest)) return largest;
  seen.for_runs(all, [&](Range run) {
    for (int64_t i = run.begin; i < run.end; ++i) {
      const double value = absolute(x[i]) / largest;
      squares += value * value;
    }
  });
  return largest * std::sqrt(squares);
}

}  // namespace

template <class T>
double clip_norm(Worker& worker, ClipState& state, double max_norm, T* x, const Seen& seen) {
  const auto& typed = kernels::kernels().of<T>();
  const auto pieces = static_cast<int64_t>(state.sums_.size());
  const auto piece_at = [](int64_t piece) { return Range{piece * kGrain, (piece + 1) * kGrain}; };
  state.sum_queue_.for_each(worker, pieces, [&](int64_t piece) {
    double sum = 0;
    seen.for_runs(piece_at(piece), [&](Range run) {
      sum += static_cast<double>(typed.reduce.sum_squares(run.size(), x + run.begin));
    });
    state.sums_[static_cast<size_t>(piece)] = sum;
  });
  worker.barrier();
  double squares = 0;  // every worker adds up the same numbers in the same order
  for (const double sum : state.sums_) squares += sum;
  double norm = std::sqrt(squares);
  if (!std::isfinite(squares)) {
    norm = scaled_norm(x, seen);
    worker.barrier();  // before anybody scales what others still read
  }
  const T factor = static_cast<T>(max_norm / (norm + 1e-6));
  if (factor >= 1) return norm;  // NaN is not
  state.scale_queue_.for_each(worker, pieces, [&](int64_t piece) {
    seen.for_runs(piece_at(piece),
                  [&](Range run) { typed.scale(run.size(), factor, x + run.begin); });
  });
  return norm;
}

template <class T>
void add_parts(std::span<const T> x, const T* parts, int64_t stride, int64_t count, T* sum) {
  const auto size = static_cast<int64_t>(x.size());
  kernels::kernels().of<T>().reduce.add_parts(size, x.data(), parts, stride, count, sum);
}

template <class T>
double weighted_sum(std::span<const T> x, const T* weights, double start) {
  double sum = start;
  for (size_t i = 0; i < x.size(); ++i) {
    const double term = static_cast<double>(x[i]);
    sum += weights == nullptr ? term : term * static_cast<double>(weights[i]);
  }
  return sum;
}

template <class T>
bool all_finite(std::span<const T> x) {
  if (x.size() < 8) {  // a batch's single sample: quicker than filling up vectors
    return std::ranges::all_of(x, [](T value) { return std::isfinite(value); });
  }
  return kernels::kernels().of<T>().reduce.all_finite(static_cast<int64_t>(x.size()), x.data());
}

template <class T>
T sum(std::span<const T> x) {
  return kernels::kernels().of<T>().reduce.sum(static_cast<int64_t>(x.size()), x.data());
}

template <class T>
T sum_squares(std::span<const T> x) {
  return kernels::kernels().of<T>().reduce.sum_squares(static_cast<int64_t>(x.size()), x.data());
}

template <class T>
bool all_finite(const T* flat, Extents extents) {
  return std::ranges::all_of(extents, [&](const Range& extent) {
    return all_finite(std::span<const T>(flat + extent.begin, static_cast<size_t>(extent.size())));
  });
}

template <class T>
void all_finite(Worker& worker, TileQueue& queue, std::span<const T> x, std::atomic<bool>& finite) {
  for_ranges(worker, queue, static_cast<int64_t>(x.size()), kGrain, [&](Range range) {
    const auto piece =
        x.subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.size()));
    if (!all_finite(piece)) finite.store(false, std::memory_order_relaxed);
  });
}

#define GD_INSTANTIATE(T)                                                                        \
  template void activation_forward<T>(Worker&, TileQueue&, const kernels::ActivationKernel<T>&,  \
                                      const T*, MatrixView<const T>, MatrixView<T>);             \
  template void activation_backward<T>(Worker&, TileQueue&, const kernels::ActivationKernel<T>&, \
                                       const T*, MatrixView<const T>, MatrixView<T>);            \
  template void loss<T>(Worker&, TileQueue&, const kernels::LossKernel<T>&,                      \
                        const kernels::LossRows<T>&);                                            \
  template void column_sum<T>(Worker&, TileQueue&, MatrixView<const T>, int64_t, bool, T*,       \
                              base::FunctionRef<void(int64_t, int64_t)>);                        \
  template void add_parts<T>(std::span<const T>, const T*, int64_t, int64_t, T*);                \
  template void update<T>(Worker&, TileQueue&, const kernels::RuleKernel<T>&, int,               \
                          const kernels::RuleSpan<T>&, Extents);                                 \
  template double clip_norm<T>(Worker&, ClipState&, double, T*, const Seen&);                    \
  template double weighted_sum<T>(std::span<const T>, const T*, double);                         \
  template bool all_finite<T>(std::span<const T>);                                               \
  template T sum<T>(std::span<const T>);                                                         \
  template T sum_squares<T>(std::span<const T>);                                                 \
  template bool all_finite<T>(const T*, Extents);                                                \
  template void all_finite<T>(Worker&, TileQueue&, std::span<const T>, std::atomic<bool>&);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::ops

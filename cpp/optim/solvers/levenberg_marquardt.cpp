#include "optim/solvers/levenberg_marquardt.hpp"

#include <algorithm>
#include <cmath>

#include "ops/elementwise.hpp"

namespace gd::optim {

using base::require;
using base::ValueError;

namespace {

// A worker's least share, against waking it.
constexpr double kLeastFlops = 2.5e5;
// Conjugate gradients end where the residual has fallen so far, or after so many rounds.
constexpr double kResidual = 1e-10;
constexpr int64_t kMostRounds = 1000;
constexpr int64_t kColumnsAtOnce = 256;
constexpr int64_t kResidualsAtOnce = 8;

int64_t tiles_of(int64_t size, int64_t at_once) { return (size + at_once - 1) / at_once; }

}  // namespace

template <class T>
LevenbergMarquardt<T>::LevenbergMarquardt(const std::vector<double>& hyper,
                                          std::vector<double> decay)
    : mu_(hyper[1]),
      mu_dec_(hyper[2]),
      mu_inc_(hyper[3]),
      mu_max_(hyper[4]),
      min_grad_(hyper[5]),
      by_(static_cast<By>(static_cast<int>(hyper[7]))),
      decay_(std::move(decay)) {}

template <class T>
bool LevenbergMarquardt<T>::is_dense(int64_t weights) const {
  if (by_ != By::size) return by_ == By::cholesky;
  return weights <= kMostElements / weights;
}

template <class T>
int64_t LevenbergMarquardt<T>::work_bytes(int64_t weights, int64_t flat_size) const {
  const double n = static_cast<double>(weights);
  const double elements = is_dense(weights) ? 2 * n * n + (kBlock + 8) * n
                                            : (kBlock + 8) * n + static_cast<double>(kMostElements);
  const double bytes = (elements + static_cast<double>(flat_size)) * sizeof(T);
  check_fits(bytes, base::message("LevenbergMarquardt of ", weights, " weights"),
             "give solver='cg', which keeps no matrix, or take LBFGS");
  return static_cast<int64_t>(bytes);
}

template <class T>
int LevenbergMarquardt<T>::workers(const Problem<T>& problem, double flops_a_row) const {
  const double flops = flops_a_row * static_cast<double>(problem.squares->residuals());
  const double most = std::min<double>(max_workers_, flops / kLeastFlops);
  return std::max(1, static_cast<int>(most));
}

template <class T>
void LevenbergMarquardt<T>::prepare(Problem<T>& problem) {
  const int64_t residuals = problem.squares->residuals();
  if (max_workers_ < problem.threads) {
    max_workers_ = problem.threads;
    for (auto& queue : queues_) queue.emplace(max_workers_);
    cholesky_.reset();
    scratch_memory_ = {};
  }
  if (n_ == 0) {
    vectors_ = Vectors(problem.spans);
    n_ = vectors_.size();
    dense_ = is_dense(n_);
    const int64_t line = base::padded<T>(n_);
    vectors_of_n_ = base::AlignedBuffer<T>(8 * line);
    T** const all[] = {&gradient_, &diagonal_, &step_,  &decays_,
                       &cg_[0],    &cg_[1],    &cg_[2], &cg_[3]};
    for (int i = 0; i < 8; ++i) *all[i] = vectors_of_n_.data() + i * line;
    int64_t end = 0;
    for (const ParameterSpan& span : problem.spans) end = std::max(end, span.offset + span.size());
    start_ = base::AlignedBuffer<T>(end);
    if (dense_) {
      matrix_ = base::AlignedBuffer<T>(n_ * n_);
      factor_ = base::AlignedBuffer<T>(n_ * n_);
    }
    for (const Vectors::Piece& piece : vectors_.pieces()) {
      std::fill_n(decays_ + piece.place, piece.size(), static_cast<T>(decay_.of(piece) / 2));
    }
  }
  if (dense_ && !cholesky_) cholesky_.emplace(n_, max_workers_);
  if (dense_ && scratch_memory_.size() == 0) {
    scratch_.size = ops::gemm_scratch_size<T>(n_, std::min(kColumns, n_), kBlock);
    scratch_memory_ = base::AlignedBuffer<T>(max_workers_ * scratch_.size.all());
    scratch_.data = scratch_memory_.data();
  }
  // All of J where it is asked for again and again, and fits.
  const bool keeps = !dense_ && residuals <= kMostElements / n_;
  const int64_t rows = keeps ? residuals : std::min(kBlock, residuals);
  if (residuals_.size() < rows) {
    jacobian_ = {};
    jacobian_ = base::AlignedBuffer<T>(rows * n_);
    residuals_ = base::AlignedBuffer<T>(rows);
  }
}

template <class T>
void LevenbergMarquardt<T>::blocks(Problem<T>& problem, int workers, bool made_anew, BlockWork f) {
  const int64_t residuals = problem.squares->residuals();
  const bool keeps = residuals_.size() >= residuals;
  for (auto& queue : queues_) queue->reset();
  const auto body = [&](ops::Worker& worker) {
    for (int64_t begin = 0; begin < residuals; begin += kBlock) {
      const int64_t rows = std::min(kBlock, residuals - begin);
      T* const jacobian = jacobian_.data() + (keeps ? begin * n_ : 0);
      T* const r = residuals_.data() + (keeps ? begin : 0);
      if (made_anew || !keeps) {
        problem.squares->fill(worker, *queues_[0], begin, rows, jacobian, r);
        worker.barrier();
        if (worker.index() == 0) queues_[0]->reset();
      }
      f(worker, rows, jacobian, r);
      worker.barrier();
      if (worker.index() == 0) queues_[1]->reset();
      worker.barrier();
    }
  };
  if (workers == 1) {
    ops::Worker alone;
    body(alone);
  } else {
    ops::run_collective(*parallel::acquire_team(workers), body);
  }
}

// Of a block, to the lower half of J^T J.
template <class T>
void LevenbergMarquardt<T>::add_products(ops::Worker& worker, int64_t rows, const T* jacobian) {
  for (int64_t left = 0; left < n_; left += kColumns) {
    worker.barrier();
    if (worker.index() == 0) queues_[1]->reset();
    worker.barrier();
    ops::GemmProblem<T> product;
    product.m = n_ - left;
    product.n = std::min(kColumns, n_ - left);
    product.k = rows;
    product.a = jacobian + left;  // transposed
    product.a_row = 1;
    product.a_col = n_;
    product.b = jacobian + left;
    product.b_row = n_;
    product.c = matrix_.data() + left * n_ + left;
    product.c_row = n_;
    product.part = kBlock;
    product.accumulate = true;
    const ops::GemmTiles tiles =
        ops::gemm_tiles<T>(product.m, product.n, product.k, worker.count());
    ops::gemm(worker, *queues_[1], tiles, product, scratch_);
  }
}

template <class T>
void LevenbergMarquardt<T>::assemble(Problem<T>& problem) {
  const auto n = static_cast<double>(n_);
  const int workers = this->workers(problem, dense_ ? n * n : 4 * n);
  std::fill_n(gradient_, n_, T{0});
  std::fill_n(diagonal_, n_, T{0});
  if (dense_) std::fill_n(matrix_.data(), n_ * n_, T{0});
  blocks(problem, workers, true,
         [&](ops::Worker& worker, int64_t rows, const T* jacobian, const T* r) {
           queues_[1]->for_each(worker, tiles_of(n_, kColumnsAtOnce), [&](int64_t tile) {
             const int64_t first = tile * kColumnsAtOnce;
             const int64_t last = std::min(first + kColumnsAtOnce, n_);
             for (int64_t k = 0; k < rows; ++k) {
               const T* const row = jacobian + k * n_;
               for (int64_t c = first; c < last; ++c) gradient_[c] += r[k] * row[c];
               if (dense_) continue;
               for (int64_t c = first; c < last; ++c) diagonal_[c] += row[c] * row[c];
             }
           });
           if (dense_) add_products(worker, rows, jacobian);
         });
  add_decay(problem);
}

template <class T>
void LevenbergMarquardt<T>::add_decay(Problem<T>& problem) {
  if (!decay_.any()) return;
  for (const Vectors::Piece& p : vectors_.pieces()) {
    for (int64_t i = 0; i < p.size(); ++i) {
      gradient_[p.place + i] += decays_[p.place + i] * problem.weights[p.begin + i];
    }
  }
}

template <class T>
bool LevenbergMarquardt<T>::solve(Problem<T>& problem) {
  const bool found = dense_ ? solve_by_cholesky(problem) : solve_by_conjugate_gradients(problem);
  return found && ops::all_finite(std::span<const T>(step_, static_cast<size_t>(n_)));
}

template <class T>
bool LevenbergMarquardt<T>::solve_by_cholesky(Problem<T>& problem) {
  for (int64_t i = 0; i < n_; ++i) {
    std::copy_n(matrix_.data() + i * n_, i + 1, factor_.data() + i * n_);
    factor_.data()[i * n_ + i] += decays_[i] + static_cast<T>(mu_);
  }
  const double n = static_cast<double>(n_);
  const int workers = static_cast<int>(
      std::clamp(n * n * n / 3 / kLeastFlops, 1.0, static_cast<double>(problem.threads)));
  if (!cholesky_->factor(factor_.data(), workers)) return false;
  for (int64_t i = 0; i < n_; ++i) step_[i] = -gradient_[i];
  cholesky_->solve(factor_.data(), step_);
  return true;
}

template <class T>
void LevenbergMarquardt<T>::product(Problem<T>& problem, const T* from, T* to) {
  const T mu = static_cast<T>(mu_);
  for (int64_t i = 0; i < n_; ++i) to[i] = (decays_[i] + mu) * from[i];
  T images[kBlock];
  blocks(problem, workers(problem, 4 * static_cast<double>(n_)), false,
         [&](ops::Worker& worker, int64_t rows, const T* jacobian, const T*) {
           queues_[1]->for_each(worker, tiles_of(rows, kResidualsAtOnce), [&](int64_t tile) {
             const int64_t last = std::min((tile + 1) * kResidualsAtOnce, rows);
             for (int64_t k = tile * kResidualsAtOnce; k < last; ++k) {
               images[k] = static_cast<T>(dot(n_, jacobian + k * n_, from));
             }
           });
           worker.barrier();
           if (worker.index() == 0) queues_[1]->reset();
           worker.barrier();
           queues_[1]->for_each(worker, tiles_of(n_, kColumnsAtOnce), [&](int64_t tile) {
             const int64_t first = tile * kColumnsAtOnce;
             const int64_t last = std::min(first + kColumnsAtOnce, n_);
             for (int64_t k = 0; k < rows; ++k) {
               const T* const row = jacobian + k * n_;
               for (int64_t c = first; c < last; ++c) to[c] += images[k] * row[c];
             }
           });
         });
}

// Preconditioned by the diagonal: Nocedal and Wright, "Numerical Optimization", algorithm 5.3.
template <class T>
bool LevenbergMarquardt<T>::solve_by_conjugate_gradients(Problem<T>& problem) {
  T* const residual = cg_[0];
  T* const scaled = cg_[1];
  T* const direction = cg_[2];
  T* const image = cg_[3];
  const auto scale = [&] {
    for (int64_t i = 0; i < n_; ++i) {
      scaled[i] = residual[i] / (diagonal_[i] + decays_[i] + static_cast<T>(mu_));
    }
  };
  std::fill_n(step_, n_, T{0});
  for (int64_t i = 0; i < n_; ++i) residual[i] = -gradient_[i];
  scale();
  std::copy_n(scaled, n_, direction);
  double now = dot(n_, residual, scaled);
  const double least = kResidual * kResidual * now;
  const int64_t rounds = std::min(kMostRounds, 2 * n_);
  for (int64_t round = 0; round < rounds && now > least; ++round) {
    product(problem, direction, image);
    const double curvature = dot(n_, direction, image);
    if (!(curvature > 0) || !std::isfinite(curvature)) return round > 0;
    const T length = static_cast<T>(now / curvature);
    for (int64_t i = 0; i < n_; ++i) {
      step_[i] += length * direction[i];
      residual[i] -= length * image[i];
    }
    scale();
    const double next = dot(n_, residual, scaled);
    const T back = static_cast<T>(next / now);
    for (int64_t i = 0; i < n_; ++i) direction[i] = scaled[i] + back * direction[i];
    now = next;
  }
  return true;
}

template <class T>
void LevenbergMarquardt<T>::move(Problem<T>& problem) {
  for (const Vectors::Piece& p : vectors_.pieces()) {
    for (int64_t i = 0; i < p.size(); ++i) {
      problem.weights[p.begin + i] = start_.data()[p.begin + i] + step_[p.place + i];
    }
  }
}

template <class T>
typename LevenbergMarquardt<T>::Outcome LevenbergMarquardt<T>::iterate(Problem<T>& problem,
                                                                       double) {
  prepare(problem);
  if (!known_) {
    data_ = problem.loss();
    loss_ = data_ + penalty(problem);
  }
  known_ = true;
  Outcome outcome{data_, 0, nullptr};
  if (!std::isfinite(loss_)) {
    outcome.loss = loss_;
    return outcome;
  }
  assemble(problem);
  const double norm = 2 * std::sqrt(dot(n_, gradient_, gradient_));
  if (norm <= min_grad_) {
    outcome.ending = "min_grad";
    return outcome;
  }
  vectors_.copy(1, problem.weights, start_.data());
  while (mu_ <= mu_max_) {
    if (solve(problem)) {
      move(problem);
      const double data = problem.loss();
      const double loss = data + penalty(problem);
      if (loss < loss_) {
        data_ = data;
        loss_ = loss;
        mu_ = std::max(mu_ * mu_dec_, kLeastMu);
        outcome.iterations = 1;
        return outcome;
      }
    }
    mu_ *= mu_inc_;
  }
  vectors_.copy(1, start_.data(), problem.weights);
  outcome.ending = "mu_max";
  return outcome;
}

template <class T>
void LevenbergMarquardt<T>::set_kept(std::span<const double> numbers) {
  require<ValueError>(numbers.size() == 1 && numbers[0] > 0 && std::isfinite(numbers[0]),
                      "the numbers that LevenbergMarquardt goes on from are none of its own");
  mu_ = numbers[0];
  known_ = false;
}

template class LevenbergMarquardt<double>;

}  // namespace gd::optim

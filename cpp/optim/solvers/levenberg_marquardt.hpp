#pragma once

#include <optional>

#include "optim/solvers/cholesky.hpp"
#include "optim/solvers/decay.hpp"
#include "optim/solvers/solver.hpp"

namespace gd::optim {

// (J^T J + mu I) d = -J^T r: Levenberg, Quarterly of Applied Mathematics 2, 1944; Marquardt, SIAM
// Journal 11, 1963; for networks Hagan and Menhaj, IEEE Transactions on Neural Networks 5, 1994,
// whose names and rule for mu these are.
template <class T>
class LevenbergMarquardt final : public Solver<T> {
 public:
  using Outcome = typename Solver<T>::Outcome;

  // J^T J, or J for conjugate gradients, is kept where it has no more elements than that (128 MiB
  // of float64).
  static constexpr int64_t kMostElements = int64_t{1} << 24;

  LevenbergMarquardt(const std::vector<double>& hyper, std::vector<double> decay);

  int states() const override { return 0; }
  bool needs_squares() const override { return true; }
  bool has_rate() const override { return false; }
  int64_t work_bytes(int64_t weights, int64_t flat_size) const override;
  Outcome iterate(Problem<T>& problem, double lr) override;
  std::vector<double> kept() const override { return {mu_}; }
  void set_kept(std::span<const double> numbers) override;
  void forget() override { known_ = false; }

 protected:
  const char* title() const override { return "LevenbergMarquardt"; }

 private:
  enum class By : uint8_t { size, cholesky, conjugate_gradients };
  // Rows of J at a time. The bits depend on it.
  static constexpr int64_t kBlock = 256;
  static constexpr int64_t kColumns = 128;  // of J^T J that one product makes
  static constexpr double kLeastMu = 1e-20;

  bool is_dense(int64_t weights) const;
  void prepare(Problem<T>& problem);
  int workers(const Problem<T>& problem, double flops_a_row) const;
  double penalty(Problem<T>& problem) {
    return decay_.penalty(vectors_, problem.threads, problem.weights);
  }
  // J^T J or its diagonal, and J^T r, with what decay adds to both.
  void assemble(Problem<T>& problem);
  void add_products(ops::Worker& worker, int64_t rows, const T* jacobian);
  void add_decay(Problem<T>& problem);
  // The step for this mu, in step_; false where there is none.
  bool solve(Problem<T>& problem);
  bool solve_by_cholesky(Problem<T>& problem);
  bool solve_by_conjugate_gradients(Problem<T>& problem);
  // to = (J^T J + decay / 2 + mu) from
  void product(Problem<T>& problem, const T* from, T* to);
  // Calls f(worker, rows, jacobian, residuals) for one block after the other, on a team; f ends
  // with all workers done.
  using BlockWork =
      base::FunctionRef<void(ops::Worker& worker, int64_t rows, const T* jacobian, const T* r)>;
  void blocks(Problem<T>& problem, int workers, bool made_anew, BlockWork f);
  void move(Problem<T>& problem);

  double mu_;
  double mu_dec_;
  double mu_inc_;
  double mu_max_;
  double min_grad_;
  By by_;
  Decay decay_;

  Vectors vectors_;
  int64_t n_ = 0;
  bool dense_ = false;
  int max_workers_ = 0;
  base::AlignedBuffer<T> jacobian_;  // (rows kept, n)
  base::AlignedBuffer<T> residuals_;
  base::AlignedBuffer<T> matrix_;  // J^T J (n, n) where it is dense
  base::AlignedBuffer<T> factor_;
  base::AlignedBuffer<T> vectors_of_n_;
  T* gradient_ = nullptr;  // J^T r
  T* diagonal_ = nullptr;
  T* step_ = nullptr;
  T* decays_ = nullptr;  // decay / 2
  T* cg_[4] = {};
  base::AlignedBuffer<T> start_;  // flat
  base::AlignedBuffer<T> scratch_memory_;
  ops::GemmScratch<T> scratch_;
  std::optional<Cholesky<T>> cholesky_;
  std::optional<ops::TileQueue> queues_[2];

  bool known_ = false;  // whether data_ and loss_ are of the present weights
  double data_ = 0;
  double loss_ = 0;
};

}  // namespace gd::optim

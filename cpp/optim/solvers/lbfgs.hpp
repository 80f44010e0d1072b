#pragma once

#include "base/aligned_buffer.hpp"
#include "optim/solvers/decay.hpp"
#include "optim/solvers/solver.hpp"

namespace gd::optim {

// Limited-memory BFGS: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithms 7.4
// and 7.5, with a line search for the strong Wolfe conditions (3.5 and 3.6) or a fixed rate.
// Scaling, constants and endings are those of torch.optim.LBFGS.
template <class T>
class Lbfgs final : public Solver<T> {
 public:
  using Outcome = typename Solver<T>::Outcome;

  Lbfgs(const std::vector<double>& hyper, std::vector<double> decay);

  // The gradient before the last step, that step, and pairs (s, y) of earlier ones.
  int states() const override { return static_cast<int>(2 + 2 * history_); }
  int64_t work_bytes(int64_t weights, int64_t flat_size) const override;
  Outcome iterate(Problem<T>& problem, double lr) override;
  std::vector<double> kept() const override;
  void set_kept(std::span<const double> numbers) override;
  void forget() override { known_ = false; }

 protected:
  const char* title() const override { return "LBFGS"; }

 private:
  static constexpr int kSlots = 3;
  static constexpr int kWork = kSlots + 2;  // and where a line search starts, and its direction

  // A place on the line, start + t direction.
  struct Point {
    double t = 0;
    double loss = 0;   // with the penalty
    double data = 0;   // without
    double slope = 0;  // along the direction
    const T* gradient = nullptr;
  };

  void prepare(const Problem<T>& problem);
  Point evaluate(Problem<T>& problem, T* gradient);
  Point at(Problem<T>& problem, double t, T* gradient);
  T* free_slot(const Point& a, const Point& b);
  void remember(Problem<T>& problem, const T* gradient);
  void direct(Problem<T>& problem, const T* gradient);
  Point search(Problem<T>& problem, const Point& start, double t);
  void move(Problem<T>& problem, double t);
  T* s(Problem<T>& problem, int64_t pair) const { return problem.states[2 + 2 * slot(pair)]; }
  T* y(Problem<T>& problem, int64_t pair) const { return problem.states[3 + 2 * slot(pair)]; }
  int64_t slot(int64_t pair) const { return (first_ + pair) % history_; }

  int64_t history_;
  int64_t max_iter_;
  bool searches_;
  double tolerance_grad_;
  double tolerance_change_;
  Decay decay_;

  Vectors vectors_;
  base::AlignedBuffer<T> work_;
  T* slots_[kSlots] = {};
  T* start_ = nullptr;
  T* direction_ = nullptr;
  std::vector<double> factors_;  // of the way through the pairs

  // Beside the states what a file has.
  int64_t iterations_ = 0;
  int64_t pairs_ = 0;
  int64_t first_ = 0;             // the oldest pair's slot
  double scale_ = 1;              // of the first guess at the inverse Hessian
  std::vector<double> inverses_;  // 1 / (y s), by slot

  bool known_ = false;  // whether `now_` is of the present weights
  Point now_;
};

}  // namespace gd::optim

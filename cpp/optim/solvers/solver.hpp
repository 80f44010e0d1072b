#pragma once

// What trains by losses at weights that it chooses itself: all samples at every step. A solver sees
// flat buffers and a problem that can be asked, never a network.

#include <memory>
#include <string>
#include <vector>

#include "optim/grouped_rule.hpp"

namespace gd::optim {

// A loss that is a sum of squares, sum over k of r_k^2, by its residuals r and their derivatives.
template <class T>
class Squares {
 public:
  virtual ~Squares() = default;
  virtual int64_t residuals() const = 0;
  // Of residuals [begin, begin + count) at the present weights: r (count,), and where `jacobian` is
  // not null the rows of dr/dw, (count, n) over the weights that train, in the order of the
  // extents. All workers of a team together; each row is made by one of them alone.
  virtual void fill(ops::Worker& worker, ops::TileQueue& queue, int64_t begin, int64_t count,
                    T* jacobian, T* residuals) = 0;
};

// What a solver works on. The weights that train are the spans of flat buffers.
template <class T>
struct Problem {
  std::span<const ParameterSpan> spans;
  T* weights = nullptr;
  T* const* states = nullptr;  // states() flat buffers, zero at first
  int threads = 1;
  // The loss at the present weights, and its gradient in `gradients`.
  base::FunctionRef<double()> evaluate;
  const T* gradients = nullptr;
  base::FunctionRef<double()> loss;  // alone
  Squares<T>* squares = nullptr;     // where the solver needs them
};

// Not a rule that a step could end with, but in its place in a trainer.
template <class T>
class Solver : public Rule<T> {
 public:
  struct Outcome {
    double loss = 0;               // before the first iteration
    int64_t iterations = 0;        // that were made
    const char* ending = nullptr;  // the hyperparameter that says that it has converged, or null
  };

  RuleNeeds needs() const final { return RuleNeeds::closure; }
  void begin_step(double lr, int64_t step) final;  // StateError: no step by itself
  void update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) final;

  // Whether the problem must be one of squares.
  virtual bool needs_squares() const { return false; }
  // Whether a step is scaled by a rate, which a schedule may change.
  virtual bool has_rate() const { return true; }
  // Bytes beside the states, for so many weights that train.
  virtual int64_t work_bytes(int64_t weights, int64_t flat_size) const = 0;

  // Goes on from the present weights and leaves them, with all states, where it came. A loss that
  // is not finite ends it before the first iteration.
  virtual Outcome iterate(Problem<T>& problem, double lr) = 0;

  // Weights, data or states have changed: what it knows of the last evaluation no longer holds.
  virtual void forget() = 0;

 protected:
  virtual const char* title() const = 0;  // in errors
};

// A solver and its hyperparameters, the rate first.
struct SolverInfo {
  std::string name;
  std::vector<std::string> parameters;
};
std::vector<SolverInfo> solvers();

// By its name; null where no solver is called so. Groups may differ in weight_decay alone.
// ValueError for a wrong number of hyperparameters or groups that set another.
template <class T>
std::unique_ptr<Solver<T>> make_solver(const std::string& name, const std::vector<double>& hyper,
                                       const std::vector<Group>& groups);

// ValueError where that is more than this machine has: `what` it is for, and a way out.
void check_fits(double bytes, const std::string& what, const std::string& way_out);

}  // namespace gd::optim

// The interface of optim/rule.hpp fits a rule that asks for losses at other weights.

#include <algorithm>

#include "cpp/optim/support.hpp"
#include "ops/elementwise.hpp"

using gd::optim::RuleNeeds;
using gd::optim::UpdateInput;

namespace {

// Gradient descent whose rate is halved until the loss falls by a quarter of what the slope
// promises. Armijo, Pacific Journal of Mathematics 16, 1966.
template <class T>
class LineSearch final : public gd::optim::Rule<T> {
 public:
  RuleNeeds needs() const override { return RuleNeeds::closure; }
  int states() const override { return 2; }  // where the step began, and its direction
  void begin_step(double lr, int64_t) override { lr_ = lr; }

  void update(gd::ops::Worker& worker, gd::ops::TileQueue&, const UpdateInput<T>& input) override {
    T* const start = input.states[0];
    T* const direction = input.states[1];
    if (worker.index() == 0) {
      gd::ops::copy_extents<T>(input.extents, input.weights, start);
      gd::ops::copy_extents<T>(input.extents, input.gradients, direction);
    }
    worker.barrier();
    double squares = 0;
    const auto& reduce = gd::kernels::kernels().of<T>().reduce;
    for (const gd::parallel::Range& extent : input.extents) {
      squares += static_cast<double>(reduce.sum_squares(extent.size(), direction + extent.begin));
    }
    const double before = (*input.closure)(worker);
    double rate = lr_;
    while (true) {
      if (worker.index() == 0) {
        for (const gd::parallel::Range& extent : input.extents) {
          for (int64_t i = extent.begin; i < extent.end; ++i) {
            input.weights[i] = start[i] - static_cast<T>(rate) * direction[i];
          }
        }
        ++evaluations_;
      }
      worker.barrier();
      // Every worker gets the same loss, so all turn the same way.
      const double now = (*input.closure)(worker);
      worker.barrier();
      if (now <= before - 0.25 * rate * squares) return;
      rate /= 2;
    }
  }

  int evaluations() const { return evaluations_; }

 private:
  double lr_ = 0;
  int evaluations_ = 0;
};

// The sum of curvature_i w_i^2 / 2, computed by all workers together: each a share, worker 0 adds.
template <class T>
class Bowl {
 public:
  Bowl(gd::testing::Bench<T>& bench, int workers)
      : bench_(bench), losses_(gd::testing::kFlatSize), queue_(workers) {}

  double evaluate(gd::ops::Worker& worker) {
    queue_.for_each(worker, gd::testing::kFlatSize, [&](int64_t i) {
      const auto has = [i](const gd::parallel::Range& e) { return e.begin <= i && i < e.end; };
      if (std::ranges::none_of(gd::testing::kExtents, has)) return;
      const T curvature = static_cast<T>(1 + i % 7);
      const T w = bench_.weights()[i];
      bench_.gradients()[i] = curvature * w;
      losses_[static_cast<size_t>(i)] = curvature * w * w / 2;
    });
    gd::testing::next_pass(worker, queue_);
    return gd::ops::weighted_sum<T>(losses_, nullptr);
  }

 private:
  gd::testing::Bench<T>& bench_;
  std::vector<T> losses_;
  gd::ops::TileQueue queue_;
};

// Weights and loss after each of a few steps of line search.
template <class T>
std::vector<T> descend(int workers, int* evaluations = nullptr) {
  LineSearch<T> rule;
  gd::testing::Bench<T> bench(rule, 9);
  Bowl<T> bowl(bench, workers);
  const auto evaluate = [&](gd::ops::Worker& worker) { return bowl.evaluate(worker); };
  const gd::base::FunctionRef<double(gd::ops::Worker&)> closure = evaluate;
  std::vector<T> losses;
  gd::ops::Worker alone;
  for (int step = 0; step < 6; ++step) {
    losses.push_back(static_cast<T>(bowl.evaluate(alone)));
    bench.step(workers, 1.0, &closure);
  }
  losses.push_back(static_cast<T>(bowl.evaluate(alone)));
  if (evaluations != nullptr) *evaluations = rule.evaluations();
  const std::vector<T> weights = bench.values();
  losses.insert(losses.end(), weights.begin(), weights.end());
  return losses;
}

}  // namespace

TEST(a_rule_with_a_closure_descends_at_every_step) {
  int evaluations = 0;
  const std::vector<double> losses = descend<double>(2, &evaluations);
  for (size_t step = 1; step <= 6; ++step) CHECK(losses[step] < losses[step - 1]);
  CHECK(losses[6] < 0.1 * losses[0]);
  CHECK(evaluations > 6);  // a rate of 1 overshoots a curvature of 7: it was halved
}

TEST(a_rule_with_a_closure_gives_every_team_the_same_bits) {
  gd::testing::for_both_types([]<class T>() {
    const std::vector<T> want = descend<T>(1);
    for (const int workers : gd::testing::kWorkerCounts) {
      CHECK_SAME(descend<T>(workers), want, "workers ", workers);
    }
  });
}

// Formulas that no table holds: with three parameters, an activation and a loss go through a plan's
// operations as those with one do, and a rule that is not elementwise through every schedule.

#include <cmath>

#include "cpp/plan/support.hpp"
#include "kernels/elementwise-inl.hpp"
#include "kernels/scalar/vec.hpp"
#include "plan/operations/loss.hpp"
#include "plan/operations/pointwise.hpp"

using gd::kernels::Vec;
using gd::testing::for_both_types;

namespace {

// p z^2 + q z + r
struct quadratic {
  static constexpr const char* name = "quadratic";
  static constexpr const char* parameters = "p,q,r";
  static constexpr bool from_output = false;

  template <class V>
  static V forward(V z, const typename V::scalar* p) {
    return V::fma(V::fma(V::set1(p[0]), z, V::set1(p[1])), z, V::set1(p[2]));
  }
  template <class V>
  static V backward(V z, V g, const typename V::scalar* p) {
    return V::mul(g, V::fma(V::set1(2 * p[0]), z, V::set1(p[1])));
  }
};

// p d^2 + q d + r, d = y - t
struct lopsided {
  static constexpr const char* name = "lopsided";
  static constexpr const char* parameters = "p,q,r";
  static constexpr gd::kernels::Targets targets = gd::kernels::Targets::any;

  template <class V>
  static V loss(V y, V t, const typename V::scalar* p) {
    return quadratic::forward<V>(V::sub(y, t), p);
  }
  template <class V>
  static V gradient(V y, V t, const typename V::scalar* p) {
    return quadratic::backward<V>(V::sub(y, t), V::set1(1), p);
  }
};

const std::vector<double> kThree = {0.25, -1.5, 3.0};
double value(double x) { return 0.25 * x * x - 1.5 * x + 3.0; }
double slope(double x) { return 0.5 * x - 1.5; }

// Momentum of the gradient over its largest element: a norm, so not elementwise.
template <class T>
class LargestIsOne final : public gd::optim::Rule<T> {
 public:
  explicit LargestIsOne(gd::optim::RuleNeeds needs) : needs_(needs) {}
  gd::optim::RuleNeeds needs() const override { return needs_; }
  int states() const override { return 0; }
  void begin_step(double lr, int64_t) override { lr_ = static_cast<T>(lr); }
  void update(gd::ops::Worker& worker, gd::ops::TileQueue& queue,
              const gd::optim::UpdateInput<T>& input) override {
    T largest = 0;
    for (const gd::parallel::Range& extent : input.extents) {
      for (int64_t i = extent.begin; i < extent.end; ++i) {
        largest = std::max(largest, std::abs(input.gradients[i]));
      }
    }
    queue.for_each(worker, gd::ops::extents_end(input.extents), [&](int64_t at) {
      gd::ops::for_extents(input.extents, {at, at + 1}, [&](gd::parallel::Range one) {
        input.weights[one.begin] -= lr_ * input.gradients[one.begin] / largest;
      });
    });
  }

 private:
  gd::optim::RuleNeeds needs_;
  T lr_ = 0;
};

template <class T>
std::vector<T> trained(int workers, gd::optim::RuleNeeds needs, double clip_norm) {
  constexpr int64_t rows = 200;
  const gd::testing::Samples<T> samples(rows, 20, 10, 1);
  auto network =
      gd::testing::network_of<T>(gd::testing::stack({40, 10}, "gelu", "identity"), 20, 7);
  LargestIsOne<T> rule(needs);
  gd::plan::PlanOptions<T> options =
      gd::testing::options_of<T>(gd::plan::PlanKind::training, rows, "mse", workers);
  options.rule = &rule;
  options.clip_norm = clip_norm;
  options.update.extents = network.extents();
  options.update.weights = network.values();
  options.update.gradients = network.gradients();
  gd::plan::Plan<T> plan(network, options);
  CHECK(plan.sharing(rows).by == gd::plan::SharedBy::samples);
  CHECK_EQ(plan.workers(rows), workers);
  for (int step = 1; step <= 3; ++step) {
    rule.begin_step(0.01, step);
    plan.step(samples.batch(rows, false));
  }
  const bool updates = needs != gd::optim::RuleNeeds::closure;
  const T* const left = updates ? network.values() : network.gradients();
  return std::vector<T>(left, left + network.flat_size());
}

}  // namespace

TEST(an_activation_of_three_parameters_runs_in_a_plan) {
  for_both_types([]<class T>() {
    const auto kernel = gd::kernels::activation_kernel<Vec<T>, quadratic>();
    const gd::plan::ActivationUse<T> use{&kernel, gd::ops::FormulaParameters<T>(kThree)};
    constexpr int64_t rows = 3, units = 5;
    std::vector<T> z = gd::testing::normals<T>(rows * units, 1);
    std::vector<T> a(z.size()), g(z.size(), T(2));
    gd::plan::Places<T> places;
    for (std::vector<T>* rows_of : {&z, &a, &g}) {
      places.rows.push_back({rows_of->data(), false, units, units, units});
    }
    gd::plan::Batch<T> batch;
    batch.rows = rows;
    gd::ops::Worker alone;
    const auto run = [&](const gd::plan::Pointwise<T>& activation) {
      const auto step = gd::plan::activation_step<T>(1, activation);
      step.make(step, places)->run(alone, batch);
    };
    using Kind = typename gd::plan::Pointwise<T>::Kind;
    run({Kind::activation, 0, 1, gd::plan::kNoValue, use});
    run({Kind::derivative, 2, 2, 0, use});
    for (size_t i = 0; i < z.size(); ++i) {
      CHECK_CLOSE(a[i], value(z[i]), 1e-5);
      CHECK_CLOSE(g[i], 2 * slope(z[i]), 1e-5);
    }
  });
}

TEST(a_loss_of_three_parameters_runs_in_a_plan) {
  for_both_types([]<class T>() {
    const auto kernel = gd::kernels::loss_kernel<Vec<T>, lopsided>();
    constexpr int64_t rows = 4, outputs = 3;
    const std::vector<T> y = gd::testing::normals<T>(rows * outputs, 1);
    const std::vector<T> t = gd::testing::normals<T>(rows * outputs, 2);
    std::vector<T> losses(rows), g(y.size());
    std::vector<T> p = y;
    gd::plan::Loss<T> loss(kernel, kThree, {p.data(), false, outputs, outputs, outputs},
                           losses.data(), {g.data(), false, outputs, outputs, outputs}, 1);
    gd::plan::Batch<T> batch;
    batch.rows = rows;
    batch.target = t.data();
    batch.target_stride = outputs;
    batch.weight_sum = rows;
    gd::ops::Worker alone;
    loss.run(alone, batch);
    for (size_t i = 0; i < rows; ++i) {
      double want = 0;
      for (size_t j = i * outputs; j < (i + 1) * outputs; ++j) {
        want += value(y[j] - t[j]) / outputs;
        CHECK_CLOSE(g[j], slope(y[j] - t[j]) / (outputs * rows), 1e-6);
      }
      CHECK_CLOSE(losses[i], want, 1e-5);
    }
  });
}

TEST(more_parameters_than_any_formula_has_are_refused) {
  const std::vector<double> many(gd::kernels::kMaxParameters + 1, 1.0);
  CHECK_THROWS(gd::base::ValueError, gd::ops::FormulaParameters<float>(many));
}

TEST(a_rule_that_is_not_elementwise_gives_every_schedule_the_same_bits) {
  for_both_types([]<class T>() {
    for (const double clip_norm : {0.0, 0.01}) {
      const std::vector<T> want = trained<T>(1, gd::optim::RuleNeeds::norm, clip_norm);
      for (const int workers : {2, 3}) {
        CHECK_SAME(trained<T>(workers, gd::optim::RuleNeeds::norm, clip_norm), want, workers);
      }
    }
  });
}

TEST(a_plan_for_a_rule_that_needs_other_losses_makes_gradients_and_no_update) {
  const std::vector<float> want = trained<float>(1, gd::optim::RuleNeeds::closure, 0);
  CHECK(std::ranges::any_of(want, [](float each) { return each != 0; }));
  for (const int workers : {2, 3}) {
    CHECK_SAME(trained<float>(workers, gd::optim::RuleNeeds::closure, 0), want, workers);
  }
}

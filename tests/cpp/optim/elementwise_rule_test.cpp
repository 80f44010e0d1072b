#include "optim/elementwise_rule.hpp"

#include <cmath>
#include <limits>

#include "base/check.hpp"
#include "cpp/optim/support.hpp"

using gd::base::ValueError;
using gd::optim::ElementwiseRule;
using gd::optim::RuleNeeds;
using gd::testing::after_three_steps;
using gd::testing::Bench;

namespace {

const std::vector<double> kAdam = {0.01, 0.9, 0.99, 1e-8, 0.1, 1};

}  // namespace

TEST(elementwise_rules_tell_their_needs_and_states) {
  CHECK(ElementwiseRule<float>("adam", kAdam).needs() == RuleNeeds::elementwise);
  CHECK_EQ(ElementwiseRule<float>("adam", kAdam).states(), 3);
  CHECK_EQ(ElementwiseRule<float>("adam", {0.01, 0.9, 0.99, 1e-8, 0.1, 0}).states(), 2);
  CHECK_EQ(ElementwiseRule<double>("sgd", {0.01, 0, 0, 0, 0}).states(), 0);
  CHECK_EQ(ElementwiseRule<double>("sgd", {0.01, 0.9, 0, 0, 0}).states(), 1);
}

TEST(elementwise_rules_refuse_wrong_hyperparameters) {
  CHECK_THROWS(ValueError, ElementwiseRule<float>("sgdd", {0.01, 0, 0, 0, 0}));
  CHECK_THROWS(ValueError, ElementwiseRule<float>("sgd", {0.01}));
  CHECK_THROWS(ValueError, ElementwiseRule<float>("sgd", {}));
  CHECK_THROWS(ValueError, ElementwiseRule<float>("sgd", {0.01, 0, 0, 0, 0, 0}));
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  std::string said;
  try {
    ElementwiseRule<float>("sgd", {0.01, nan, 0, 0, 0});
  } catch (const ValueError& error) {
    said = error.what();
  }
  CHECK(said.find("momentum") != std::string::npos);
}

TEST(plain_sgd_subtracts_rate_times_gradient) {
  ElementwiseRule<double> rule("sgd", {0.5, 0, 0, 0, 0});
  Bench<double> bench(rule, 1);
  const std::vector<double> before = bench.values();
  bench.draw_gradients(2);
  bench.step(1, 0.25);  // the rate of the step, not that of the hyperparameters
  for (const size_t i : gd::testing::elements()) {
    CHECK_EQ(bench.weights()[i], std::fma(-0.25, bench.gradients()[i], before[i]));
  }
}

TEST(elementwise_rules_leave_the_gaps_alone_and_give_every_team_the_same_bits) {
  gd::testing::for_both_types([]<class T>() {
    const auto make = [] { return ElementwiseRule<T>("adam", kAdam); };
    const std::vector<T> want = after_three_steps<T>(1, make);
    for (const int workers : gd::testing::kWorkerCounts) {
      CHECK_SAME(after_three_steps<T>(workers, make), want, "workers ", workers);
    }
    for (const size_t i : gd::testing::elements()) CHECK(std::isfinite(want[i]));
  });
}

#include "optim/wrapped_rule.hpp"

#include <cmath>

#include "cpp/optim/support.hpp"
#include "optim/elementwise_rule.hpp"

using gd::optim::ElementwiseRule;
using gd::optim::Rule;
using gd::optim::RuleNeeds;
using gd::optim::UpdateInput;
using gd::optim::Wrapper;
using gd::testing::for_both_types;
using gd::testing::kWorkerCounts;

namespace {

// Gradient descent along the gradient of length 1, which all workers must see.
template <class T>
class Normed final : public Rule<T> {
 public:
  RuleNeeds needs() const override { return RuleNeeds::norm; }
  int states() const override { return 0; }
  void begin_step(double lr, int64_t) override { lr_ = static_cast<T>(lr); }
  void update(gd::ops::Worker& worker, gd::ops::TileQueue& queue,
              const UpdateInput<T>& input) override {
    T squares = 0;  // by everyone, in one order
    for (const auto& run : input.extents) {
      for (int64_t i = run.begin; i < run.end; ++i)
        squares += input.gradients[i] * input.gradients[i];
    }
    const T rate = lr_ / std::sqrt(squares);
    queue.for_each(worker, static_cast<int64_t>(input.extents.size()), [&](int64_t e) {
      const auto& run = input.extents[static_cast<size_t>(e)];
      for (int64_t i = run.begin; i < run.end; ++i) input.weights[i] -= rate * input.gradients[i];
    });
  }

 private:
  T lr_ = 0;
};

template <class T>
std::unique_ptr<Rule<T>> within(bool normed) {
  if (normed) return std::make_unique<Normed<T>>();
  return std::make_unique<ElementwiseRule<T>>("sgd", std::vector<double>{0.1, 0.9, 0, 0, 0});
}

const std::vector<std::vector<Wrapper>> kWrappers = {
    {{"lookahead", {2, 0.5}}},
    {{"ema", {0.5, 0, 1, 1, 0}}},
    {{"swa", {0, 2, 1, 0}}, {"lookahead", {3, 0.2}}},
    {{"lookahead", {3, 0.2}}, {"penalized", {0.05, 0.2, 1, 1}}},
};

template <class T>
std::vector<T> after_steps(const std::vector<Wrapper>& wrappers, bool normed, int workers) {
  const auto rule = gd::optim::wrapped<T>(within<T>(normed), wrappers);
  gd::testing::Bench<T> bench(*rule, 1);
  rule->prepare(bench.spans(), workers);
  for (uint64_t step = 1; step <= 4; ++step) {
    bench.draw_gradients(10 + step);
    bench.step(workers, 0.1);
  }
  return bench.values();
}

}  // namespace

TEST(wrapped_rules_have_the_same_bits_on_any_team) {
  for_both_types([]<class T>() {
    for (const auto& wrappers : kWrappers) {
      for (const bool normed : {false, true}) {
        const std::vector<T> want = after_steps<T>(wrappers, normed, 1);
        for (const int workers : kWorkerCounts) {
          CHECK_SAME(after_steps<T>(wrappers, normed, workers), want, workers);
        }
      }
    }
  });
}

TEST(an_average_leaves_the_rule_alone) {
  for (const bool normed : {false, true}) {
    CHECK_SAME(after_steps<double>(kWrappers[1], normed, 2), after_steps<double>({}, normed, 1), 2);
  }
}

TEST(lookahead_around_a_rule_with_norms) {
  const auto rule = gd::optim::wrapped<double>(within<double>(true), {{"lookahead", {2, 0.25}}});
  CHECK(rule->needs() == RuleNeeds::norm);
  const auto plain = within<double>(true);
  gd::testing::Bench<double> one(*rule, 1), two(*plain, 1);
  const std::vector<double> start = one.values();
  for (uint64_t step = 1; step <= 2; ++step) {
    for (auto* bench : {&one, &two}) {
      bench->draw_gradients(step);
      bench->step(3, 0.1);
    }
    const std::vector<double> found = one.values(), fast = two.values();
    for (const size_t i : gd::testing::elements()) {
      const double want = step == 1 ? fast[i] : start[i] + 0.25 * (fast[i] - start[i]);
      CHECK(std::abs(found[i] - want) < 1e-15);
    }
  }
}

TEST(sam_goes_uphill_and_steps_from_where_it_was) {
  const auto rule = gd::optim::wrapped<double>(within<double>(false), {{"sam", {0.5, 0}}});
  auto* const sam = gd::optim::find_wrapper<gd::optim::SamRule<double>>(*rule);
  CHECK(sam != nullptr);
  CHECK(rule->needs() == RuleNeeds::norm);
  CHECK(rule->states() == 1);
  sam->make_room(gd::testing::kFlatSize);
  const auto plain = within<double>(false);
  gd::testing::Bench<double> bench(*rule, 1), other(*plain, 1);
  const std::vector<double> start = bench.values();
  for (auto* each : {&bench, &other}) each->draw_gradients(3);
  sam->set_ascending(true);
  bench.step(2, 0.1);
  double moved = 0;
  const std::vector<double> top = bench.values();
  for (const size_t i : gd::testing::elements()) moved += (top[i] - start[i]) * (top[i] - start[i]);
  CHECK(std::abs(std::sqrt(moved) - 0.5) < 1e-12);
  sam->set_ascending(false);
  bench.step(2, 0.1);
  other.step(1, 0.1);
  const std::vector<double> found = bench.values(), want = other.values();
  for (const size_t i : gd::testing::elements()) CHECK(std::abs(found[i] - want[i]) < 1e-15);
}

TEST(a_penalty_is_added_to_the_gradient_of_weights) {
  for (const bool normed : {false, true}) {
    for (const double sign : {1.0, -1.0}) {
      const std::vector<Wrapper> penalty = {{"penalized", {0.05, 0.2, 1, sign}}};
      const auto rule = gd::optim::wrapped<double>(within<double>(normed), penalty);
      CHECK(rule->states() == within<double>(normed)->states());
      const auto plain = within<double>(normed);
      gd::testing::Bench<double> one(*rule, 1), two(*plain, 1);
      one.weights()[3] = two.weights()[3] = 0;  // where sign(w) is 0
      rule->prepare(one.spans(), 2);
      for (uint64_t step = 1; step <= 3; ++step) {
        for (auto* bench : {&one, &two}) bench->draw_gradients(step);
        for (const auto& span : two.spans()) {
          for (int64_t i = span.offset; i < span.offset + span.size(); ++i) {
            const double w = two.weights()[i];
            const double slope = w > 0 ? 0.05 : w < 0 ? -0.05 : 0;
            if (span.kind == gd::optim::SpanKind::weight)
              two.gradients()[i] += sign * (0.2 * w + slope);
          }
        }
        const std::vector<double> before(one.gradients(), one.gradients() + 35);
        one.step(2, 0.1);
        two.step(1, 0.1);
        CHECK(std::equal(before.begin(), before.end(), one.gradients()));
        CHECK_SAME(one.values(), two.values(), 2);
      }
    }
  }
}

TEST(wrappers_are_checked) {
  const auto make = [](const Wrapper& wrapper) {
    gd::optim::wrapped<double>(within<double>(false), {wrapper});
  };
  CHECK_THROWS(gd::base::ValueError, make({"mean", {1}}));
  CHECK_THROWS(gd::base::ValueError, make({"lookahead", {1}}));
  CHECK_THROWS(gd::base::ValueError, make({"lookahead", {0, 0.5}}));
  CHECK_THROWS(gd::base::ValueError, make({"ema", {0.5, 0, 0, 1, 0}}));
  CHECK_THROWS(gd::base::ValueError, make({"penalized", {0.5, 0, 1}}));
  CHECK_THROWS(gd::base::ValueError, make({"penalized", {1e-310, 0, 1, 1}}));
}

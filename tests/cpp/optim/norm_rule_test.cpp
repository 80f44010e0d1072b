// The interface of optim/rule.hpp fits a rule that needs a norm over each parameter.

#include <cmath>

#include "cpp/optim/support.hpp"

using gd::optim::ParameterSpan;
using gd::optim::RuleNeeds;
using gd::optim::UpdateInput;

namespace {

// w -= lr |w| / |g| g, span by span.
// You, Gitman, Ginsburg: "Large batch training of convolutional networks", 2017, without momentum.
template <class T>
class Lars final : public gd::optim::Rule<T> {
 public:
  explicit Lars(size_t spans) : rates_(spans) {}

  RuleNeeds needs() const override { return RuleNeeds::norm; }
  int states() const override { return 0; }
  void begin_step(double lr, int64_t) override { lr_ = static_cast<T>(lr); }

  void update(gd::ops::Worker& worker, gd::ops::TileQueue& queue,
              const UpdateInput<T>& input) override {
    const auto& reduce = gd::kernels::kernels().of<T>().reduce;
    const auto spans = static_cast<int64_t>(input.spans.size());
    queue.for_each(worker, spans, [&](int64_t i) {
      const ParameterSpan& span = input.spans[static_cast<size_t>(i)];
      const T w = std::sqrt(reduce.sum_squares(span.size(), input.weights + span.offset));
      const T g = std::sqrt(reduce.sum_squares(span.size(), input.gradients + span.offset));
      rates_[static_cast<size_t>(i)] = lr_ * w / g;
    });
    gd::testing::next_pass(worker, queue);
    queue.for_each(worker, spans, [&](int64_t i) {
      const ParameterSpan& span = input.spans[static_cast<size_t>(i)];
      for (int64_t j = span.offset; j < span.offset + span.size(); ++j) {
        input.weights[j] -= rates_[static_cast<size_t>(i)] * input.gradients[j];
      }
    });
  }

 private:
  T lr_ = 0;
  std::vector<T> rates_;
};

}  // namespace

TEST(a_rule_with_norms_moves_each_span_by_its_own) {
  Lars<double> rule(3);
  gd::testing::Bench<double> bench(rule, 5);
  bench.draw_gradients(6);
  const std::vector<double> before = bench.values();
  bench.step(2, 0.1);
  for (const ParameterSpan& span : bench.spans()) {
    double moved = 0;
    double length = 0;
    for (int64_t i = span.offset; i < span.offset + span.size(); ++i) {
      const double was = before[static_cast<size_t>(i)];
      moved += std::pow(bench.weights()[i] - was, 2);
      length += was * was;
    }
    CHECK_CLOSE(std::sqrt(moved), 0.1 * std::sqrt(length), 1e-14);
  }
}

TEST(a_rule_with_norms_gives_every_team_the_same_bits) {
  gd::testing::for_both_types([]<class T>() {
    const auto make = [] { return Lars<T>(3); };
    const std::vector<T> want = gd::testing::after_three_steps<T>(1, make);
    for (const int workers : gd::testing::kWorkerCounts) {
      CHECK_SAME(gd::testing::after_three_steps<T>(workers, make), want, "workers ", workers);
    }
  });
}

// Update rules as their papers and PyTorch write them, one weight at a time in plain double.

#include <algorithm>
#include <cmath>
#include <functional>

#include "cpp/optim/support.hpp"
#include "optim/elementwise_rule.hpp"

namespace {

using gd::optim::ElementwiseRule;
using gd::testing::Bench;

constexpr double kLr = 0.1;

struct Published {
  const char* rule;
  std::vector<double> hyper;
  // w after step t with gradient g; s is the weight's own memory, zero at first.
  std::function<double(double w, double g, double* s, int t)> update;
};

double adam(double w, double g, double* s, int t, bool amsgrad) {
  s[0] = 0.9 * s[0] + 0.1 * g;
  s[1] = 0.99 * s[1] + 0.01 * g * g;
  s[2] = std::max(s[2], s[1]);
  const double m = s[0] / (1 - std::pow(0.9, t));
  const double v = (amsgrad ? s[2] : s[1]) / (1 - std::pow(0.99, t));
  return w - kLr * m / (std::sqrt(v) + 1e-8);
}

double rmsprop(double w, double g, double* s, double momentum, bool centered) {
  s[0] = 0.9 * s[0] + 0.1 * g * g;
  s[1] = 0.9 * s[1] + 0.1 * g;
  const double spread = centered ? s[0] - s[1] * s[1] : s[0];
  s[2] = momentum * s[2] + g / (std::sqrt(spread) + 1e-3);
  return w - kLr * s[2];
}

const std::vector<Published>& published() {
  static const std::vector<Published> rules = {
      {"sgd",
       {kLr, 0, 0, 0.05, 0},
       [](double w, double g, double*, int) { return w - kLr * (g + 0.05 * w); }},
      {"sgd",
       {kLr, 0.9, 0.3, 0.05, 0},
       [](double w, double g, double* s, int t) {
         g += 0.05 * w;
         s[0] = t == 1 ? g : 0.9 * s[0] + 0.7 * g;
         return w - kLr * s[0];
       }},
      {"sgd",
       {kLr, 0.9, 0, 0, 1},
       [](double w, double g, double* s, int t) {
         s[0] = t == 1 ? g : 0.9 * s[0] + g;
         return w - kLr * (g + 0.9 * s[0]);
       }},
      {"adam",
       {kLr, 0.9, 0.99, 1e-8, 0.05, 0},
       [](double w, double g, double* s, int t) { return adam(w, g + 0.05 * w, s, t, false); }},
      {"adam",
       {kLr, 0.9, 0.99, 1e-8, 0, 1},
       [](double w, double g, double* s, int t) { return adam(w, g, s, t, true); }},
      {"adamw",
       {kLr, 0.9, 0.99, 1e-8, 0.05, 0},
       [](double w, double g, double* s, int t) {
         return adam(w - kLr * 0.05 * w, g, s, t, false);
       }},
      {"adamw",
       {kLr, 0.9, 0.99, 1e-8, 0.05, 1},
       [](double w, double g, double* s, int t) {
         return adam(w - kLr * 0.05 * w, g, s, t, true);
       }},
      {"adagrad",
       {kLr, 0.2, 0.05, 0.3, 1e-3},
       [](double w, double g, double* s, int t) {
         g += 0.05 * w;
         s[0] = (t == 1 ? 0.3 : s[0]) + g * g;
         return w - kLr / (1 + 0.2 * (t - 1)) * g / (std::sqrt(s[0]) + 1e-3);
       }},
      {"rmsprop",
       {kLr, 0.9, 1e-3, 0.05, 0, 0},
       [](double w, double g, double* s, int) { return rmsprop(w, g + 0.05 * w, s, 0, false); }},
      {"rmsprop",
       {kLr, 0.9, 1e-3, 0, 0.8, 0},
       [](double w, double g, double* s, int) { return rmsprop(w, g, s, 0.8, false); }},
      {"rmsprop",
       {kLr, 0.9, 1e-3, 0, 0, 1},
       [](double w, double g, double* s, int) { return rmsprop(w, g, s, 0, true); }},
      {"rmsprop",
       {kLr, 0.9, 1e-3, 0, 0.8, 1},
       [](double w, double g, double* s, int) { return rmsprop(w, g, s, 0.8, true); }},
      {"adadelta",
       {kLr, 0.9, 1e-3, 0.05},
       [](double w, double g, double* s, int) {
         g += 0.05 * w;
         s[0] = 0.9 * s[0] + 0.1 * g * g;
         const double d = std::sqrt(s[1] + 1e-3) / std::sqrt(s[0] + 1e-3) * g;
         s[1] = 0.9 * s[1] + 0.1 * d * d;
         return w - kLr * d;
       }},
  };
  return rules;
}

}  // namespace

TEST(rules_are_the_published_ones) {
  for (const Published& one : published()) {
    ElementwiseRule<double> rule(one.rule, one.hyper);
    Bench<double> bench(rule, 3);
    std::vector<double> w = bench.values();
    std::vector<double> memory(3 * w.size());
    for (int t = 1; t <= 5; ++t) {
      bench.draw_gradients(static_cast<uint64_t>(t));
      for (const size_t i : gd::testing::elements()) {
        w[i] = one.update(w[i], bench.gradients()[i], &memory[3 * i], t);
      }
      bench.step(1, kLr);
    }
    for (const size_t i : gd::testing::elements()) {
      CHECK_AT(std::abs(bench.weights()[i] - w[i]) < 1e-12, one.rule, " with ", rule.states(),
               " states: ", bench.weights()[i], " ", w[i]);
    }
  }
}

// In float too, as far as its digits go.
TEST(rules_in_float_follow_those_in_double) {
  for (const Published& one : published()) {
    const auto after = [&]<class T>() {
      return gd::testing::after_three_steps<T>(
          1, [&] { return ElementwiseRule<T>(one.rule, one.hyper); });
    };
    const std::vector<double> want = after.operator()<double>();
    const std::vector<float> got = after.operator()<float>();
    for (const size_t i : gd::testing::elements()) {
      CHECK_AT(std::abs(got[i] - want[i]) < 2e-5 * (1 + std::abs(want[i])), one.rule, ": ", got[i],
               " ", want[i]);
    }
  }
}

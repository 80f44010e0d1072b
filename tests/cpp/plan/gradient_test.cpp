// Gradients of plans against central differences of their losses, every activation with every loss.

#include <algorithm>
#include <cmath>
#include <functional>

#include "cpp/plan/support.hpp"
#include "ops/formulas.hpp"

using gd::nn::Network;
using gd::plan::Batch;
using gd::plan::Plan;
using gd::plan::PlanKind;
using gd::testing::options_of;
using gd::testing::Samples;
using gd::testing::stack;
using gd::testing::text;

namespace {

constexpr int64_t kInputs = 4;
constexpr int64_t kOutputs = 3;
constexpr int64_t kRows = 6;
constexpr double kStep = 0x1p-12;

// Of fourth order: some gradients are so small beside the loss that the plain difference would
// drown in the loss's rounding, or its step be too long.
double central_difference(double& value, double step, const std::function<double()>& loss) {
  const double here = value;
  const auto at = [&](double x) {
    value = x;
    return loss();
  };
  const double near = at(here + step) - at(here - step);
  const double far = at(here + 2 * step) - at(here - 2 * step);
  value = here;
  return (8 * near - far) / (12 * step);
}

// |got - want| / |want| over all, in norm.
struct Distance {
  double difference = 0;
  double length = 0;
  void add(double got, double want) {
    difference += (got - want) * (got - want);
    length += want * want;
  }
  double relative() const { return std::sqrt(difference / std::max(length, 1e-30)); }
};

void check_gradient(const std::vector<gd::testing::DenseSpec>& layers, const std::string& loss,
                    bool by_label, bool weighted) {
  const std::string where =
      text(layers[0].activation, " ", layers.back().activation, " ", loss, " layers ",
           layers.size(), by_label ? " labels" : "", weighted ? " weights" : "");
  const Samples<double> samples(kRows, kInputs, layers.back().units, 11);
  auto network = gd::testing::network_of<double>(layers, kInputs, 3);
  const Batch<double> batch = samples.batch(kRows, by_label, weighted);
  Plan<double> gradient(network, options_of<double>(PlanKind::gradient, kRows, loss));
  Plan<double> evaluation(network, options_of<double>(PlanKind::evaluation, kRows, loss));
  CHECK_AT(gradient.step(batch) == evaluation.step(batch), where);
  for (const gd::nn::Parameter& p : network.parameters()) {
    Distance distance;
    for (int64_t i = p.offset; i < p.offset + p.size(); ++i) {
      const auto difference = [&](double step) {
        return central_difference(network.values()[i], step,
                                  [&] { return evaluation.step(batch); });
      };
      const double got = network.gradients()[i];
      double want = difference(kStep);
      // There may be a kink within the step, as of hardtanh or huber: a shorter one ends before it.
      if (std::abs(got - want) > 1e-8 * std::abs(want)) {
        const double nearer = difference(kStep / 64);
        if (std::abs(got - nearer) < std::abs(got - want)) want = nearer;
      }
      distance.add(got, want);
    }
    CHECK_AT(distance.relative() < 1e-7, where, " ", p.name, " ", distance.relative());
  }
}

int64_t outputs_for(const std::string& loss) {
  const int parts = gd::ops::find_loss<double>(loss).parts;
  return parts > 1 ? 2 * parts : kOutputs;
}

// Layers for the one, two or three of an activation.
std::vector<gd::testing::DenseSpec> layers_of(const std::string& activation, int count,
                                              int64_t outputs = kOutputs) {
  std::vector<int64_t> units(static_cast<size_t>(count), 5);
  units.back() = outputs;
  return stack(units, activation, activation);
}

}  // namespace

TEST(gradients_of_every_activation_and_loss_agree_with_differences) {
  for (const auto& activation : gd::ops::activation_formulas()) {
    for (const auto& loss : gd::ops::loss_formulas()) {
      const int64_t outputs = outputs_for(loss.name);
      for (const int count : {1, 2, 3}) {
        check_gradient(layers_of(activation.name, count, outputs), loss.name, false, count == 2);
      }
      if (gd::ops::find_loss<double>(loss.name).targets == gd::ops::Targets::categories) {
        check_gradient(layers_of(activation.name, 2), loss.name, true, false);
        check_gradient(layers_of(activation.name, 2), loss.name, true, true);
      }
    }
  }
}

TEST(layers_without_bias_have_right_gradients) {
  auto layers = layers_of("tanh", 3);
  for (auto& layer : layers) layer.bias = false;
  check_gradient(layers, "mse", false, false);
}

// Two names for one thing: a softmax before cross entropy, and its logits.
TEST(softmax_with_cross_entropy_is_cross_entropy_of_the_logits) {
  gd::testing::for_both_types([]<class T>() {
    const Samples<T> samples(kRows, kInputs, kOutputs, 12);
    const Batch<T> batch = samples.batch(kRows, true);
    auto with = gd::testing::network_of<T>(stack({5, kOutputs}, "relu", "softmax"), kInputs, 3);
    auto without = gd::testing::network_of<T>(stack({5, kOutputs}, "relu", "identity"), kInputs, 3);
    const auto options = options_of<T>(PlanKind::gradient, kRows, "cross_entropy");
    CHECK_EQ(Plan<T>(with, options).step(batch), Plan<T>(without, options).step(batch));
    CHECK_SAME(with.gradients(), without.gradients(), with.flat_size());
    Plan<T> inference(with, options_of<T>(PlanKind::inference, kRows));
    inference.forward(batch);
    for (int64_t i = 0; i < kRows; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < kOutputs; ++j) {
        const T p = inference.output(kRows)(i, j);
        CHECK(p > 0 && p < 1);
        sum += p;
      }
      CHECK_CLOSE(sum, 1.0, 1e-6);
    }
  });
}

namespace {

// A loss from outside: the sum of c_ij y_ij.
struct Outside {
  explicit Outside(const std::vector<gd::testing::DenseSpec>& layers)
      : network(gd::testing::network_of<double>(layers, kInputs, 3)),
        plan(network, options_of<double>(PlanKind::differentiable, kRows)),
        outputs(network.output_size()),
        samples(kRows, kInputs, outputs, 13),
        factors(gd::testing::normals<double>(kRows * outputs, 14)),
        input_gradient(static_cast<size_t>(kRows * kInputs)) {}

  double forward() {
    plan.forward(samples.batch(kRows, false));
    double sum = 0;
    for (int64_t i = 0; i < kRows; ++i) {
      for (int64_t j = 0; j < outputs; ++j) sum += factor(i, j) * plan.output(kRows)(i, j);
    }
    return sum;
  }
  void backward(bool accumulate) {
    for (int64_t i = 0; i < kRows; ++i) {
      for (int64_t j = 0; j < outputs; ++j) plan.output_gradient(kRows)(i, j) = factor(i, j);
    }
    Batch<double> batch = samples.batch(kRows, false);
    batch.accumulate = accumulate;
    batch.input_gradient = input_gradient.data();
    plan.backward(batch);
  }
  double factor(int64_t i, int64_t j) const {
    return factors[static_cast<size_t>(i * outputs + j)];
  }

  Network<double> network;
  Plan<double> plan;
  int64_t outputs;
  Samples<double> samples;
  std::vector<double> factors;
  std::vector<double> input_gradient;
};

void check_outside(const std::vector<gd::testing::DenseSpec>& layers) {
  Outside outside(layers);
  outside.forward();
  outside.backward(false);
  const std::string where = text(layers[0].activation, " ", layers.back().units);
  Distance at_input;
  for (size_t i = 0; i < outside.input_gradient.size(); ++i) {
    at_input.add(outside.input_gradient[i], central_difference(outside.samples.x[i], kStep,
                                                               [&] { return outside.forward(); }));
  }
  CHECK_AT(at_input.relative() < 1e-7, where, " ", at_input.relative());
  Distance at_weights;
  Network<double>& network = outside.network;
  for (const gd::nn::Parameter& p : network.parameters()) {
    for (int64_t i = p.offset; i < p.offset + std::min<int64_t>(p.size(), 40); ++i) {
      at_weights.add(network.gradients()[i], central_difference(network.values()[i], kStep,
                                                                [&] { return outside.forward(); }));
    }
  }
  CHECK_AT(at_weights.relative() < 1e-7, where, " ", at_weights.relative());
}

}  // namespace

TEST(backward_from_outside_reaches_weights_and_input) {
  for (const auto& activation : gd::ops::activation_formulas()) {
    check_outside(layers_of(activation.name, 2));
    check_outside(layers_of(activation.name, 1));
  }
  check_outside(stack({128, 128}, "tanh", "sigmoid"));  // rows of a kilobyte
}

TEST(accumulated_gradients_are_added) {
  Outside outside(layers_of("gelu", 3));
  Network<double>& network = outside.network;
  outside.forward();
  outside.backward(false);
  const std::vector<double> once(network.gradients(), network.gradients() + network.flat_size());
  const std::vector<double> at_input = outside.input_gradient;
  outside.backward(true);
  for (const gd::parallel::Range& extent : network.extents()) {
    for (int64_t i = extent.begin; i < extent.end; ++i) {
      CHECK_EQ(network.gradients()[i], 2 * once[static_cast<size_t>(i)]);
    }
  }
  CHECK_SAME(outside.input_gradient, at_input);
  outside.backward(false);
  CHECK_SAME(network.gradients(), once.data(), network.flat_size());
}

TEST(the_loss_of_a_batch_is_the_weighted_mean) {
  for (const auto& loss : gd::ops::loss_formulas()) {
    const int64_t outputs = outputs_for(loss.name);
    const Samples<double> samples(kRows, kInputs, outputs, 15);
    auto network = gd::testing::network_of<double>(layers_of("tanh", 2, outputs), kInputs, 3);
    Plan<double> plan(network, options_of<double>(PlanKind::evaluation, kRows, loss.name));
    double plain = 0;
    double weighted = 0;
    double weights = 0;
    for (int64_t i = 0; i < kRows; ++i) {
      Batch<double> row = samples.batch(1, false);
      row.x += i * kInputs;
      row.target += i * outputs;
      const double one = plan.step(row);
      const double weight = samples.weights[static_cast<size_t>(i)];
      plain += one / kRows;
      weighted += weight * one;
      weights += weight;
    }
    CHECK_CLOSE(plan.step(samples.batch(kRows, false)), plain, 1e-14);
    CHECK_CLOSE(plan.step(samples.batch(kRows, false, true)), weighted / weights, 1e-14);
  }
}

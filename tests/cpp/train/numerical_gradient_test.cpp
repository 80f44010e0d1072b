#include "train/numerical_gradient.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "base/check.hpp"
#include "cpp/train/support.hpp"

using namespace gd::testing;
using gd::data::Dataset;
using gd::train::backpropagation_gradient;
using gd::train::Model;
using gd::train::numerical_gradient;
using gd::train::NumericalGradient;

namespace {

constexpr int64_t kRows = 7;

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
  double difference = 0;
  double length = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    length += want[i] * want[i];
  }
  return std::sqrt(difference / length);
}

// One input x = 1, one relu unit with w = b = 0, so z is exactly 0; then y = 2 a + 1 and
// l = (y - 0)^2 with slope 2 y 2 = 4 in a: with respect to w and b 4 above and 0 below.
struct AtTheKink {
  AtTheKink() : model(stacked({1, 1}, "relu", "identity"), 1, 0) {
    const double values[] = {0.0, 0.0, 2.0, 1.0};
    model.set_values(values);
    data.x = {&x, 1, 1};
    data.target = {&target, 1, 1};
  }
  double x = 1.0;
  double target = 0.0;
  Model<double> model;
  Dataset<double> data;
};

}  // namespace

TEST(differences_agree_with_backpropagation) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 6);
  for (const char* loss : {"mse", "mae", "huber", "bce_with_logits", "cross_entropy"}) {
    const auto model = make_model<double>("identity");
    const Dataset<double> data = dataset(samples, false, true);
    const auto before = values_of(*model);
    const NumericalGradient got = numerical_gradient(*model, loss_named(loss), data, {}, 1);
    const auto want = backpropagation_gradient(*model, loss_named(loss), data, 1);
    CHECK_AT(relative_error(got.central, want.gradient) < 1e-7, loss);
    CHECK_AT(got.kinks.empty(), loss);
    CHECK_SAME(got.below, got.central, loss);
    CHECK_SAME(got.above, got.central, loss);
    CHECK_SAME(values_of(*model), before, loss);
    // Two passes a parameter, and one at the point itself.
    CHECK_AT(got.evaluations >= 2 * static_cast<int64_t>(before.size()) + 1, loss);
    CHECK_AT(got.seconds > 0 && want.seconds > 0, loss);
  }
}

TEST(backpropagation_gives_the_loss_and_leaves_no_gradients_behind) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 6);
  const auto model = make_model<double>("identity");
  const auto exact =
      backpropagation_gradient(*model, loss_named("mse"), dataset(samples, false), 2);
  gd::train::Trainer<double> trainer(make_model<double>("identity"), adam_with("mse"));
  CHECK_EQ(exact.loss, trainer.step(dataset(samples, false)));
  CHECK_THROWS(gd::base::StateError, gradients_of(*model));
}

TEST(differences_give_the_same_bits_on_any_number_of_threads) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 6);
  const auto model = make_model<double>("softmax");
  const auto run = [&](int threads) {
    return numerical_gradient(*model, loss_named("cross_entropy"), dataset(samples, true), {},
                              threads);
  };
  const NumericalGradient want = run(1);
  for (const int threads : {2, 3, 5}) {
    CHECK_SAME(run(threads).central, want.central, "threads ", threads);
  }
}

TEST(a_kink_at_the_point_is_found_and_told) {
  AtTheKink kink;
  const NumericalGradient got = numerical_gradient(kink.model, loss_named("mse"), kink.data, {}, 1);
  CHECK((got.kinks == std::vector<int64_t>{0, 1}));
  for (const size_t i : {size_t{0}, size_t{1}}) {
    CHECK_CLOSE(got.below[i], 0.0, 1e-6);
    CHECK_CLOSE(got.above[i], 4.0, 1e-3);
  }
  // The others have derivatives: 2 y a = 0 and 2 y = 2.
  CHECK_CLOSE(got.central[2], 0.0, 1e-7);
  CHECK_CLOSE(got.central[3], 2.0, 1e-7);
  CHECK_SAME(got.below.data() + 2, got.central.data() + 2, 2, "below");
  const auto exact = backpropagation_gradient(kink.model, loss_named("mse"), kink.data, 1);
  CHECK_CLOSE(exact.gradient[0], 0.0, 0.0);  // relu'(0) = 0
  CHECK_CLOSE(exact.gradient[3], got.central[3], 1e-7);
}

// Within reach of the step but not at the point: the derivative exists and must be found.
TEST(a_kink_near_the_point_is_stepped_around) {
  const double h = std::cbrt(std::numeric_limits<double>::epsilon());
  for (double share = 0.01; share < 1.2; share += 0.003) {
    for (const double away : {share * h, -share * h}) {
      AtTheKink kink;
      const double values[] = {away, 0.0, 2.0, 1.0};
      kink.model.set_values(values);
      const NumericalGradient got =
          numerical_gradient(kink.model, loss_named("mse"), kink.data, {}, 1);
      const auto exact = backpropagation_gradient(kink.model, loss_named("mse"), kink.data, 1);
      CHECK_AT(got.kinks.empty(), away);
      for (size_t i = 0; i < got.central.size(); ++i) {
        const double apart = std::abs(got.central[i] - exact.gradient[i]);
        CHECK_AT(apart <= got.error[i] && got.error[i] < 1e-5, away, ": ", apart, " beside ",
                 got.error[i]);
      }
    }
  }
}

TEST(some_parameters_can_be_looked_at_closer) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 6);
  const auto model = make_model<double>("identity");
  const Dataset<double> data = dataset(samples, false);
  const auto want = backpropagation_gradient(*model, loss_named("mse"), data, 1);
  const std::vector<int64_t> some = {5, 0, 17};
  for (const int threads : {1, 3}) {
    const NumericalGradient got = numerical_gradient(*model, loss_named("mse"), data, {}, threads,
                                                     std::span<const int64_t>(some));
    CHECK_EQ(got.central.size(), some.size());
    for (size_t i = 0; i < some.size(); ++i) {
      const double apart = std::abs(got.central[i] - want.gradient[static_cast<size_t>(some[i])]);
      CHECK_AT(apart <= got.error[i], i, ": ", apart, " beside ", got.error[i]);
    }
  }
  const std::vector<int64_t> wrong = {1 << 20};
  CHECK_THROWS(gd::base::ValueError, numerical_gradient(*model, loss_named("mse"), data, {}, 1,
                                                        std::span<const int64_t>(wrong)));
}

TEST(strong_curvature_is_no_kink) {
  AtTheKink bent;
  auto layers = stack({1, 1}, "tanh", "identity");
  Model<double> model(gd::testing::stack_of(layers), 1, 0);
  const double values[] = {0.3, 0.1, 300.0, 1.0};
  model.set_values(values);
  const NumericalGradient got = numerical_gradient(model, loss_named("mse"), bent.data, 1e-3, 1);
  CHECK(got.kinks.empty());
}

TEST(the_step_can_be_chosen) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 6);
  const auto model = make_model<double>("identity");
  const Dataset<double> data = dataset(samples, false);
  const auto want = backpropagation_gradient(*model, loss_named("mse"), data, 1).gradient;
  const auto error = [&](double h) {
    return relative_error(numerical_gradient(*model, loss_named("mse"), data, h, 1).central, want);
  };
  // The error falls with the square of the step, until rounding takes over.
  CHECK(error(1e-2) > 50 * error(1e-3));
  CHECK(error(1e-3) > 50 * error(1e-4));
  CHECK(error(1e-11) > error(1e-5));
  CHECK_THROWS(gd::base::ValueError, error(1e-30));
}

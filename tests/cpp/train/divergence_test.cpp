// An epoch that diverges leaves no trace, and rows learned one by one are steps.

#include <limits>

#include "base/check.hpp"
#include "cpp/train/support.hpp"

using namespace gd::testing;
using gd::base::DivergenceError;
using gd::train::Trainer;

namespace {

constexpr int64_t kRows = 29;

gd::train::TrainerOptions momentum_with(double lr) {
  auto options = adam_with("mse");
  options.rule = "sgd";
  options.hyper = {lr, 0.9, 0, 0, 0};
  return options;
}

}  // namespace

TEST(an_epoch_that_diverges_is_taken_back) {
  for_both_types([]<class T>() {
    const Samples<T> samples(kRows, kInputs, kOutputs, 4);
    const auto data = dataset(samples, false);
    Trainer<T> trainer(make_model<T>(), momentum_with(0.01));
    Trainer<T> never(make_model<T>(), momentum_with(0.01));
    for (Trainer<T>* each : {&trainer, &never}) fit_epoch(*each, data, 8, true);
    trainer.set_lr(sizeof(T) == 4 ? 1e30 : 1e200);
    CHECK_THROWS(DivergenceError, fit_epoch(trainer, data, 8, true));
    CHECK_SAME(values_of(trainer.model()), values_of(never.model()), "taken back");
    CHECK_EQ(trainer.epochs(), 1);
    CHECK_EQ(trainer.steps(), never.steps());
    // The momentum too is what it was.
    trainer.set_lr(0.01);
    for (Trainer<T>* each : {&trainer, &never}) fit_epoch(*each, data, 8, true);
    CHECK_SAME(values_of(trainer.model()), values_of(never.model()), "went on");
  });
}

// One batch an epoch: no loss comes after its update to tell.
TEST(parameters_lost_in_the_last_step_are_noticed) {
  Samples<float> samples(kRows, kInputs, kOutputs, 4);
  for (float& target : samples.target) target *= 1e10f;
  Trainer<float> trainer(make_model<float>(), momentum_with(1e38));
  const auto before = values_of(trainer.model());
  CHECK_THROWS(DivergenceError, fit_epoch(trainer, dataset(samples, false), kRows, false));
  CHECK_SAME(values_of(trainer.model()), before);
  CHECK_EQ(trainer.steps(), 0);
  CHECK_EQ(trainer.epochs(), 0);
}

// The parameters stay finite, and so does the loss that the epoch tells; only the next would not.
TEST(an_epoch_that_ends_where_the_loss_overflows_is_taken_back) {
  for_both_types([]<class T>() {
    const Samples<T> samples(kRows, kInputs, kOutputs, 4);
    const auto data = dataset(samples, false);
    for (const int64_t batch_size : {kRows, kRows - 1}) {
      Trainer<T> trainer(make_model<T>(), momentum_with(0.01));
      fit_epoch(trainer, data, batch_size, true);
      const auto before = values_of(trainer.model());
      const int64_t steps = trainer.steps();
      trainer.set_lr(sizeof(T) == 4 ? 1e22 : 1e170);
      CHECK_THROWS(DivergenceError, fit_epoch(trainer, data, batch_size, true));
      CHECK_SAME(values_of(trainer.model()), before);
      CHECK_EQ(trainer.steps(), steps);
      CHECK_EQ(trainer.epochs(), 1);
    }
  });
}

// Squares of gradients overflow; the parameters would stay where they are for ever.
TEST(an_optimizer_state_that_overflows_is_taken_back) {
  Samples<float> samples(kRows, kInputs, kOutputs, 4);
  for (float& target : samples.target) target *= 1e25f;
  auto options = adam_with("mse");
  options.loss = {"huber", {1e25}};
  Trainer<float> huber(make_model<float>(), options);
  const auto before = values_of(huber.model());
  CHECK_THROWS(DivergenceError, fit_epoch(huber, dataset(samples, false), kRows, false));
  CHECK_SAME(values_of(huber.model()), before);
  CHECK_EQ(huber.steps(), 0);
  huber.step(dataset(samples, false));  // goes on
  const auto after = values_of(huber.model());
  CHECK_THROWS(gd::base::StateError, fit_epoch(huber, dataset(samples, false), kRows, false));
  CHECK_SAME(values_of(huber.model()), after);
}

TEST(the_error_names_epoch_step_and_rate) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 4);
  Trainer<double> trainer(make_model<double>(), momentum_with(1e200));
  std::string said;
  try {
    fit_epoch(trainer, dataset(samples, false), 8, false);
  } catch (const DivergenceError& error) {
    said = error.what();
  }
  CHECK(said.find("epoch 1") != std::string::npos);
  CHECK(said.find("1e+200") != std::string::npos);
}

TEST(rows_learned_one_by_one_are_steps) {
  for_both_types([]<class T>() {
    const Samples<T> samples(kRows, kInputs, kOutputs, 4);
    Trainer<T> many(make_model<T>(), adam_with("cross_entropy"));
    Trainer<T> one(make_model<T>(), adam_with("cross_entropy"));
    std::vector<double> losses(kRows);
    const auto go_on = [](int64_t, std::optional<double>) { return true; };
    CHECK_EQ(many.learn_many(dataset(samples, true), losses.data(), go_on), kRows);
    for (int64_t i = 0; i < kRows; ++i) {
      CHECK_EQ(losses[static_cast<size_t>(i)], one.step(dataset(samples, true).rows(i, 1)));
    }
    CHECK_SAME(values_of(many.model()), values_of(one.model()));
    const auto stop = [](int64_t done, std::optional<double>) { return done < 5; };
    CHECK_EQ(many.learn_many(dataset(samples, true), losses.data(), stop), 5);
    CHECK_EQ(many.steps(), kRows + 5);
  });
}

#include "train/trainer.hpp"

#include <limits>
#include <thread>

#include "base/check.hpp"
#include "cpp/train/support.hpp"
#include "data/sampler.hpp"
#include "parallel/cpus.hpp"

using namespace gd::testing;
using gd::base::StateError;
using gd::base::ValueError;
using gd::data::Dataset;
using gd::train::Model;
using gd::train::Trainer;

namespace {

constexpr int64_t kRows = 13;

// d mse / d y as the loss computes it.
template <class T>
std::vector<T> mse_gradient(const std::vector<T>& y, const Samples<T>& samples) {
  const T factor = static_cast<T>(1.0 / kRows) / static_cast<T>(kOutputs);
  std::vector<T> g(y.size());
  for (size_t i = 0; i < y.size(); ++i) g[i] = factor * (T(2) * (y[i] - samples.target[i]));
  return g;
}

}  // namespace

namespace {

template <class T>
void check_step_is_its_parts(double clip_norm) {
  const Samples<T> samples(kRows, kInputs, kOutputs, 1);
  auto with = adam_with("mse");
  auto without = adam_with("");
  with.clip_norm = without.clip_norm = clip_norm;
  Trainer<T> together(make_model<T>(), with);
  Trainer<T> apart(make_model<T>(), without);
  std::vector<T> y(kRows * kOutputs);
  std::vector<T> gx(kRows * kInputs);
  for (int step = 0; step < 4; ++step) {
    const double loss = together.step(dataset(samples, false));
    apart.model().forward_training(samples.x.data(), kRows, 1, y.data());
    double want_loss = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      const double d = static_cast<double>(y[i]) - static_cast<double>(samples.target[i]);
      want_loss += d * d / static_cast<double>(y.size());
    }
    CHECK_CLOSE(loss, want_loss, 1e-6);
    apart.model().backward(mse_gradient(y, samples).data(), kRows, false, gx.data());
    apart.apply_gradients();
    CHECK_SAME(values_of(together.model()), values_of(apart.model()), "step ", step);
  }
  CHECK_EQ(together.steps(), 4);
  CHECK_EQ(apart.steps(), 4);
}

}  // namespace

TEST(a_step_is_forward_backward_and_apply_gradients) {
  for_both_types([]<class T>() { check_step_is_its_parts<T>(0); });
}

TEST(a_clipped_step_is_forward_backward_and_apply_gradients) {
  for_both_types([]<class T>() { check_step_is_its_parts<T>(0.01); });
}

TEST(a_step_lowers_the_loss) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 1);
  for (const char* loss : {"mse", "mae", "huber", "bce_with_logits", "cross_entropy"}) {
    Trainer<double> trainer(make_model<double>(), adam_with(loss));
    const double before = trainer.step(dataset(samples, false, true));
    for (int i = 0; i < 200; ++i) trainer.step(dataset(samples, false, true));
    const double after = trainer.evaluate(dataset(samples, false, true), 5).loss;
    CHECK_AT(after < 0.95 * before, loss, " ", before, " ", after);
  }
}

TEST(steps_give_the_same_bits_on_any_number_of_threads) {
  for_both_types([]<class T>() {
    // Wide enough for several workers.
    const auto layers = stack({300, 256, 10}, "gelu", "identity");
    const Samples<T> samples(257, 20, 10, 2);
    std::vector<T> want;
    for (const int threads : kWorkerCounts) {
      const auto model = std::make_shared<Model<T>>(gd::testing::stack_of(layers), 20, 1);
      Trainer<T> trainer(model, adam_with("cross_entropy", threads));
      fit_epoch(trainer, dataset(samples, true), 200, true);
      if (threads == 1) want = values_of(*model);
      CHECK_SAME(values_of(*model), want, "threads ", threads);
    }
  });
}

TEST(trainers_in_several_threads_do_not_disturb_each_other) {
  const Samples<float> samples(64, kInputs, kOutputs, 3);
  const auto train = [&] {
    Trainer<float> trainer(make_model<float>(), adam_with("cross_entropy", 2));
    for (int epoch = 0; epoch < 5; ++epoch) fit_epoch(trainer, dataset(samples, true), 7, true);
    return values_of(trainer.model());
  };
  const std::vector<float> want = train();
  std::vector<float> got[3];
  {
    std::vector<std::thread> threads;
    for (auto& values : got) threads.emplace_back([&] { values = train(); });
    for (std::thread& thread : threads) thread.join();
  }
  for (const auto& values : got) CHECK_SAME(values, want);
}

TEST(the_rate_can_be_set_between_steps) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 1);
  Trainer<double> trainer(make_model<double>(), adam_with("mse"));
  CHECK_EQ(trainer.lr(), 0.01);
  trainer.set_lr(0.0);
  CHECK_EQ(trainer.lr(), 0.0);
  const auto before = values_of(trainer.model());
  trainer.step(dataset(samples, false));
  CHECK_SAME(values_of(trainer.model()), before);
  trainer.set_lr(0.1);
  trainer.step(dataset(samples, false));
  CHECK(values_of(trainer.model()) != before);
}

TEST(a_step_uses_up_what_backward_left) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 1);
  Trainer<double> trainer(make_model<double>(), adam_with("mse"));
  CHECK_THROWS(StateError, trainer.apply_gradients());
  std::vector<double> y(kRows * kOutputs);
  std::vector<double> gx(kRows * kInputs);
  trainer.model().forward_training(samples.x.data(), kRows, 1, y.data());
  trainer.model().backward(samples.target.data(), kRows, false, gx.data());
  trainer.step(dataset(samples, false));
  CHECK_THROWS(StateError, trainer.model().rows_kept());
  CHECK_THROWS(StateError, trainer.apply_gradients());
  CHECK_THROWS(StateError, gradients_of(trainer.model()));
}

TEST(gradients_that_are_not_finite_are_refused_and_change_nothing) {
  const Samples<float> samples(kRows, kInputs, kOutputs, 1);
  Trainer<float> trainer(make_model<float>(), adam_with(""));
  std::vector<float> y(kRows * kOutputs);
  std::vector<float> gx(kRows * kInputs);
  const auto before = values_of(trainer.model());
  trainer.model().forward_training(samples.x.data(), kRows, 1, y.data());
  std::vector<float> g = samples.target;
  g[5] = std::numeric_limits<float>::quiet_NaN();
  trainer.model().backward(g.data(), kRows, false, gx.data());
  CHECK_THROWS(ValueError, trainer.apply_gradients());
  CHECK_SAME(values_of(trainer.model()), before);
  CHECK_EQ(trainer.steps(), 0);
}

TEST(a_trainer_without_a_loss_says_so) {
  const Samples<float> samples(kRows, kInputs, kOutputs, 1);
  Trainer<float> trainer(make_model<float>(), adam_with(""));
  CHECK(!trainer.has_loss());
  CHECK_THROWS(StateError, trainer.step(dataset(samples, false)));
  CHECK_THROWS(StateError, fit_epoch(trainer, dataset(samples, false), 4, false));
  CHECK_THROWS(StateError, trainer.evaluate(dataset(samples, false), 4));
  CHECK_THROWS(StateError, trainer.operations(4));
}

TEST(descriptions_that_do_not_fit_are_refused) {
  const auto refused = [](auto change) {
    auto options = adam_with("huber");
    change(options);
    CHECK_THROWS(ValueError, Trainer<float>(make_model<float>(), options));
  };
  refused([](auto& options) { options.rule.append("ant"); });
  refused([](auto& options) { options.hyper.pop_back(); });
  refused([](auto& options) { options.hyper.clear(); });
  refused([](auto& options) { options.hyper[1] = std::numeric_limits<double>::infinity(); });
  refused([](auto& options) { options.loss.name.append("s"); });
  refused([](auto& options) { options.loss.parameters.clear(); });
  refused([](auto& options) { options.loss.parameters.push_back(1.0); });
}

TEST(operations_show_what_a_step_does) {
  Trainer<float> trainer(make_model<float>(), adam_with("mse"));
  const auto operations = trainer.operations(32);
  CHECK(operations.front().zone == gd::profiling::Zone::kDenseForward);
  CHECK_EQ(operations.front().layer, "0");
  CHECK_EQ(operations.front().flops, 32 * (2 * kInputs * 8 + 8));
  CHECK(operations.back().zone == gd::profiling::Zone::kUpdate);
  CHECK_EQ(operations.back().layer, "");
  CHECK_EQ(trainer.workers(32), 1);
}

TEST(a_trainer_without_a_number_takes_as_many_threads_as_are_set) {
  Trainer<float> trainer(make_model<float>(), adam_with("mse", 0));
  for (const int count : {3, 1, 2}) {
    gd::parallel::set_num_threads(count);
    CHECK_EQ(trainer.threads(), count);
  }
  trainer.set_threads(5);
  CHECK_EQ(trainer.threads(), 5);
  trainer.set_threads(0);
  gd::parallel::clear_num_threads();
  trainer.ask_for_threads();
  CHECK_EQ(trainer.threads(), gd::parallel::default_thread_count().count);
}

TEST(what_cannot_be_counted_is_refused) {
  Trainer<float> trainer(make_model<float>(), adam_with("mse"));
  Trainer<float> own(make_model<float>(), adam_with(""));
  for (const int64_t rows : {int64_t{1} << 60, std::numeric_limits<int64_t>::max()}) {
    CHECK_THROWS(gd::base::ValueError, trainer.operations(rows));
    CHECK_THROWS(gd::base::ValueError, own.memory(rows, true));
  }
}

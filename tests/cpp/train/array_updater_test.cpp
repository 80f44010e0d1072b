#include "train/array_updater.hpp"

#include <cmath>
#include <limits>

#include "base/check.hpp"
#include "cpp/train/support.hpp"

using namespace gd::testing;
using gd::train::ArrayUpdater;
using gd::train::Trainer;

// A trainer's parameters, and the same arrays updated by the rule alone with the same gradients.
TEST(a_rule_on_arrays_is_the_trainers_rule) {
  for_both_types([]<class T>() {
    constexpr int64_t rows = 9;
    const Samples<T> samples(rows, kInputs, kOutputs, 8);
    const auto options = adam_with("");
    Trainer<T> trainer(make_model<T>(), options);
    std::vector<int64_t> sizes;
    for (const auto& parameter : trainer.model().description().parameters()) {
      sizes.push_back(parameter.size());
    }
    ArrayUpdater<T> updater(options.rule, options.hyper, sizes);
    std::vector<T> values = values_of(trainer.model());
    std::vector<T> y(rows * kOutputs);
    std::vector<T> gx(rows * kInputs);
    for (int step = 0; step < 3; ++step) {
      trainer.model().forward_training(samples.x.data(), rows, 1, y.data());
      trainer.model().backward(y.data(), rows, false, gx.data());
      const std::vector<T> gradients = gradients_of(trainer.model());
      std::vector<T*> arrays;
      std::vector<std::span<const T>> array_gradients;
      int64_t offset = 0;
      for (const int64_t size : sizes) {
        arrays.push_back(values.data() + offset);
        array_gradients.emplace_back(gradients.data() + offset, static_cast<size_t>(size));
        offset += size;
      }
      if (step == 2) {
        updater.set_lr(0.5);
        trainer.set_lr(0.5);
      }
      CHECK(!updater.step(arrays, array_gradients, true));
      trainer.apply_gradients();
      CHECK_SAME(values, values_of(trainer.model()), "step ", step);
    }
    CHECK_EQ(updater.lr(), 0.5);
  });
}

// Large enough for a team.
TEST(a_large_array_is_updated_as_its_parts_are) {
  constexpr int64_t size = 2'600'000;
  const std::vector<double> hyper = {0.1, 0.9, 0, 0, 1};
  std::vector<float> large = normals<float>(size, 1);
  const std::vector<float> g = normals<float>(size, 2);
  std::vector<float> parts = large;
  ArrayUpdater<float> whole("sgd", hyper, {size});
  ArrayUpdater<float> halves("sgd", hyper, {1'000'001, size - 1'000'001});
  for (int step = 0; step < 2; ++step) {
    float* const one[] = {large.data()};
    const std::span<const float> one_g[] = {g};
    whole.step(one, one_g, true);
    float* const two[] = {parts.data(), parts.data() + 1'000'001};
    const auto all = std::span(g);
    const std::span<const float> two_g[] = {all.first(1'000'001), all.subspan(1'000'001)};
    halves.step(two, two_g, false);
  }
  CHECK_SAME(large, parts);
}

// One alone, and one that a team looks through.
TEST(a_gradient_that_is_not_finite_changes_nothing) {
  for (const int64_t size : {5, 2'600'000}) {
    const std::vector<double> hyper = {0.1, 0.9, 0, 0, 1};
    std::vector<float> values = normals<float>(2 * size, 1);
    const std::vector<float> before = values;
    std::vector<float> g = normals<float>(2 * size, 2);
    g.back() = std::numeric_limits<float>::infinity();
    ArrayUpdater<float> updater("sgd", hyper, {size, size});
    float* const arrays[] = {values.data(), values.data() + size};
    const auto half = static_cast<size_t>(size);
    const std::span<const float> gradients[] = {{g.data(), half}, {g.data() + size, half}};
    const std::optional<size_t> wrong = updater.step(arrays, gradients, true);
    CHECK(wrong == 1u);
    CHECK_SAME(values, before, size);
    CHECK(!updater.step(arrays, gradients, false));
    CHECK(!std::isfinite(values.back()));
    CHECK(std::isfinite(values[values.size() - 2]));
  }
}

TEST(wrong_hyperparameters_are_refused) {
  CHECK_THROWS(gd::base::ValueError, ArrayUpdater<float>("sgd", {}, {3}));
  CHECK_THROWS(gd::base::ValueError, ArrayUpdater<float>("sgd", {0.1}, {3}));
  CHECK_THROWS(gd::base::ValueError, ArrayUpdater<float>("rmsprob", {0.1}, {3}));
}

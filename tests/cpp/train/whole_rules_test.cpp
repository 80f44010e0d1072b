// Rules that see more than one element, in every way that a step is shared, with gaps and whatever
// is not written watched (nn/gaps.hpp).

#include "base/check.hpp"
#include "cpp/train/support.hpp"
#include "plan/cost_model.hpp"
#include "train/array_updater.hpp"

using namespace gd::testing;
using gd::train::ArrayUpdater;
using gd::train::Model;
using gd::train::Trainer;
using gd::train::TrainerOptions;

namespace {

// A rule of norms, one of matrices with vectors by another, and one that keeps statistics.
const std::vector<std::pair<std::string, std::vector<double>>> kRules = {
    {"lars", {0.5, 0.9, 0, 0.01, 0, 0.02}},
    {"muon",
     {0.02, 0.1, 0.95, 1, 3.4445, -4.775, 2.0315, 1e-7, 3, 0, 1, 0.5, 0.9, 0.999, 1e-8, 0.01}},
    {"adafactor", {0.05, -0.8, -1, 1e-3, 1, 0.01}}};

TrainerOptions with_rule(size_t rule, int threads, double clip_norm) {
  TrainerOptions options = adam_with("mse", threads);
  options.rule = kRules[rule].first;
  options.hyper = kRules[rule].second;
  options.clip_norm = clip_norm;
  return options;
}

template <class T>
std::vector<T> trained(const TrainerOptions& options, const std::vector<int64_t>& widths,
                       int64_t rows, bool shuffle) {
  const Samples<T> samples(2 * rows + 1, kInputs, 10, 1);
  auto model = std::make_shared<Model<T>>(stacked(widths, "gelu", "identity"), kInputs, 3);
  Trainer<T> trainer(model, options);
  for (int epoch = 0; epoch < 2; ++epoch) {
    fit_epoch(trainer, dataset(samples, false), rows, shuffle);
  }
  return values_of(*model);
}

}  // namespace

TEST(rules_of_whole_parameters_give_the_same_bits_however_a_step_is_shared) {
  for_both_types([]<class T>() {
    for (size_t rule = 0; rule < kRules.size(); ++rule) {
      // Alone, by samples, in pieces, by tiles.
      const std::pair<std::vector<int64_t>, int64_t> cases[] = {
          {{8, 10}, 7}, {{70, 40, 10}, 300}, {{70, 40, 10}, 3000}, {{330, 320, 10}, 40}};
      for (const auto& [widths, rows] : cases) {
        for (const double clip_norm : {0.0, 1e-2}) {
          if (clip_norm > 0 && rows > 1000) continue;
          const bool shuffle = rows == 300;
          const auto by = [&](int workers) {
            return trained<T>(with_rule(rule, workers, clip_norm), widths, rows, shuffle);
          };
          const std::vector<T> want = by(1);
          for (const int workers : {2, 3}) {
            CHECK_SAME(by(workers), want, kRules[rule].first, " rows ", rows, " workers ", workers);
          }
        }
      }
    }
  });
}

TEST(matrices_are_taken_as_they_are_named_and_not_as_they_lie) {
  for_both_types([]<class T>() {
    for (const size_t rule : {size_t{1}, size_t{2}}) {
      constexpr int64_t rows = 9;
      const Samples<T> samples(rows, kInputs, kOutputs, 8);
      TrainerOptions options = with_rule(rule, 1, 0);
      options.loss = {};
      Trainer<T> trainer(
          std::make_shared<Model<T>>(stacked({70, 40, kOutputs}, "tanh", "identity"), kInputs, 3),
          options);
      std::vector<int64_t> sizes;
      std::vector<std::vector<int64_t>> shapes;
      for (const auto& parameter : trainer.model().description().parameters()) {
        sizes.push_back(parameter.size());
        shapes.push_back(parameter.shape);
      }
      ArrayUpdater<T> updater(options.rule, options.hyper, sizes, {}, {}, {}, shapes);
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
        trainer.apply_gradients();
        CHECK(!updater.step(arrays, array_gradients, true));
        CHECK_SAME(values_of(trainer.model()), values, options.rule, " step ", step);
      }
    }
  });
}

TEST(a_rule_of_whole_parameters_refuses_a_wrong_number_of_hyperparameters) {
  TrainerOptions options = with_rule(0, 1, 0);
  options.hyper.push_back(0);
  options.hyper.push_back(0);
  CHECK_THROWS(gd::base::ValueError, Trainer<float>(make_model<float>(), options));
}

// Epochs against the steps they are made of, and evaluation against predictions.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cpp/train/support.hpp"
#include "data/sampler.hpp"
#include "train/accuracy.hpp"

using namespace gd::testing;
using gd::data::Dataset;
using gd::train::AccuracyCounter;
using gd::train::Trainer;

namespace {

constexpr int64_t kRows = 29;

// Rows of the samples at the indices, in that order.
template <class T>
Samples<T> chosen_rows(const Samples<T>& all, std::span<const int64_t> indices) {
  Samples<T> chosen(static_cast<int64_t>(indices.size()), all.inputs, all.outputs, 0);
  for (size_t i = 0; i < indices.size(); ++i) {
    const int64_t row = indices[i];
    std::copy_n(all.x.data() + row * all.inputs, all.inputs,
                chosen.x.data() + static_cast<int64_t>(i) * all.inputs);
    std::copy_n(all.target.data() + row * all.outputs, all.outputs,
                chosen.target.data() + static_cast<int64_t>(i) * all.outputs);
    chosen.labels[i] = all.labels[static_cast<size_t>(row)];
    chosen.weights[i] = all.weights[static_cast<size_t>(row)];
  }
  return chosen;
}

// An epoch by hand: the sampler's batches, one step each; the mean of losses by weight.
template <class T>
double epoch_by_hand(Trainer<T>& trainer, const Samples<T>& samples, int64_t batch_size,
                     bool shuffle, uint64_t epoch, bool by_label, bool weighted) {
  gd::data::BatchSampler sampler(samples.rows, batch_size);
  if (shuffle && batch_size < samples.rows) sampler.shuffle(17, epoch);  // one batch has no order
  double losses = 0;
  double weights = 0;
  for (int64_t i = 0; i < sampler.batches(); ++i) {
    std::vector<int64_t> indices(static_cast<size_t>(sampler.batch_rows(i)));
    std::iota(indices.begin(), indices.end(), sampler.batch_begin(i));
    if (sampler.shuffled()) std::ranges::copy(sampler.batch(i), indices.begin());
    const Samples<T> rows = chosen_rows(samples, indices);
    double weight = static_cast<double>(rows.rows);
    if (weighted) {
      weight = 0;
      for (const T w : rows.weights) weight += static_cast<double>(w);
    }
    losses += trainer.step(dataset(rows, by_label, weighted)) * weight;
    weights += weight;
  }
  return losses / weights;
}

}  // namespace

TEST(an_epoch_is_its_steps) {
  for_both_types([]<class T>() {
    const Samples<T> samples(kRows, kInputs, kOutputs, 4);
    for (const int64_t batch_size : {1, 8, 29}) {
      for (const int bits : {0, 1, 2, 3, 4, 5, 6, 7}) {
        const bool shuffle = (bits & 1) != 0;
        const bool by_label = (bits & 2) != 0;
        const bool weighted = (bits & 4) != 0;
        Trainer<T> fitted(make_model<T>(), adam_with("cross_entropy"));
        Trainer<T> stepped(make_model<T>(), adam_with("cross_entropy"));
        for (uint64_t epoch = 0; epoch < 2; ++epoch) {
          const double got =
              fit_epoch(fitted, dataset(samples, by_label, weighted), batch_size, shuffle);
          const double want =
              epoch_by_hand(stepped, samples, batch_size, shuffle, epoch, by_label, weighted);
          CHECK_AT(got == want, "batch ", batch_size, " case ", bits, ": ", got, " ", want);
        }
        CHECK_SAME(values_of(fitted.model()), values_of(stepped.model()), "batch ", batch_size,
                   " case ", bits);
        CHECK_EQ(fitted.epochs(), 2);
        CHECK_EQ(fitted.steps(), stepped.steps());
      }
    }
  });
}

TEST(a_batch_larger_than_the_data_is_all_of_it) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 4);
  Trainer<double> large(make_model<double>(), adam_with("mse"));
  Trainer<double> whole(make_model<double>(), adam_with("mse"));
  CHECK_EQ(fit_epoch(large, dataset(samples, false), INT64_MAX, false),
           whole.step(dataset(samples, false)));
  CHECK_SAME(values_of(large.model()), values_of(whole.model()));
}

// Between parameters lie gaps of zeros, where a rule without eps must not leave 0 / 0.
TEST(an_epoch_without_eps_is_no_divergence) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 4);
  for (const char* rule : {"adam", "adamw"}) {
    auto options = adam_with("mse");
    options.rule = rule;
    options.hyper[3] = 0;
    Trainer<double> trainer(make_model<double>(), options);
    CHECK(std::isfinite(fit_epoch(trainer, dataset(samples, false), 8, true)));
    for (const double value : values_of(trainer.model())) CHECK(std::isfinite(value));
    CHECK_EQ(trainer.epochs(), 1);
  }
}

TEST(progress_counts_samples_and_may_stop_an_epoch) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 4);
  Trainer<double> trainer(make_model<double>(), adam_with("mse"));
  std::vector<int64_t> told;
  const auto tell = [&](int64_t done, std::optional<double>) {
    told.push_back(done);
    return true;
  };
  trainer.fit_epoch(dataset(samples, false), 8, true, tell);
  CHECK((told == std::vector<int64_t>{8, 16, 24, 29}));

  Trainer<double> stopped(make_model<double>(), adam_with("mse"));
  const auto stop = [](int64_t done, std::optional<double>) { return done < 16; };
  const double loss = stopped.fit_epoch(dataset(samples, false), 8, false, stop);
  CHECK_EQ(stopped.steps(), 2);
  CHECK_EQ(stopped.epochs(), 0);
  Trainer<double> stepped(make_model<double>(), adam_with("mse"));
  const double first = stepped.step(dataset(samples, false).rows(0, 8));
  const double second = stepped.step(dataset(samples, false).rows(8, 8));
  CHECK_CLOSE(loss, (first + second) / 2, 1e-15);
  CHECK_SAME(values_of(stopped.model()), values_of(stepped.model()));
}

TEST(batches_without_weight_are_passed_over) {
  Samples<double> samples(kRows, kInputs, kOutputs, 4);
  for (size_t i = 8; i < 16; ++i) samples.weights[i] = 0;
  Trainer<double> trainer(make_model<double>(), adam_with("mse"));
  const double loss = fit_epoch(trainer, dataset(samples, false, true), 8, false);
  CHECK(std::isfinite(loss));
  CHECK_EQ(trainer.steps(), 3);  // of four batches
  const auto evaluation = trainer.evaluate(dataset(samples, false, true), 8);
  CHECK_CLOSE(evaluation.loss, trainer.evaluate(dataset(samples, false, true), 29).loss, 1e-14);
}

TEST(evaluation_is_the_mean_over_all_whatever_the_batch) {
  for (const char* loss : {"mse", "cross_entropy", "bce_with_logits"}) {
    const Samples<double> samples(kRows, kInputs, kOutputs, 5);
    Trainer<double> trainer(make_model<double>(), adam_with(loss));
    for (const bool weighted : {false, true}) {
      const auto before = values_of(trainer.model());
      const auto whole = trainer.evaluate(dataset(samples, false, weighted), kRows);
      CHECK_SAME(values_of(trainer.model()), before, "evaluation changes nothing");
      for (const int64_t batch : {1, 7, 100}) {
        const auto parts = trainer.evaluate(dataset(samples, false, weighted), batch);
        // The sum of weights is the one thing that is added up batch by batch.
        CHECK_CLOSE(parts.loss, whole.loss, weighted ? 1e-14 : 0.0);
        CHECK_EQ(parts.accuracy.has_value(), whole.accuracy.has_value());
        CHECK_CLOSE(parts.accuracy.value_or(0), whole.accuracy.value_or(0), 1e-14);
      }
      // A step returns the same before it updates; the next pair starts from a trained network.
      CHECK_EQ(trainer.step(dataset(samples, false, weighted)), whole.loss);
    }
  }
}

TEST(accuracy_is_told_for_losses_over_classes_only) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 5);
  for (const auto& [loss, told] :
       {std::pair{"mse", false}, std::pair{"huber", false}, std::pair{"cross_entropy", true},
        std::pair{"bce_with_logits", true}}) {
    Trainer<double> trainer(make_model<double>(), adam_with(loss));
    CHECK_EQ(trainer.evaluate(dataset(samples, false), 8).accuracy.has_value(), told);
  }
}

namespace {

// Two outputs of three samples, three rows: outputs in rows of stride 4.
constexpr double kOutputsOfThree[] = {3, 1, 2, 9, 0, 5, 1, 9, -1, -2, -3, 9};

double accuracy_of(const std::string& loss, const Dataset<double>& data) {
  AccuracyCounter<double> counter(loss);
  counter.add({kOutputsOfThree, 3, 3, 4}, data);
  return counter.result().value();
}

}  // namespace

TEST(the_largest_output_is_the_class) {
  const int64_t labels[] = {0, 1, 2};
  const double target[] = {0.5, 0.2, 0.3, 0.1, 0.1, 0.8, 1, 0, 0};
  const double weights[] = {1, 2, 5};
  Dataset<double> data;
  data.x = {nullptr, 3, 0};
  data.labels = labels;
  CHECK_CLOSE(accuracy_of("cross_entropy", data), 2.0 / 3, 1e-15);
  data.weights = weights;
  CHECK_CLOSE(accuracy_of("cross_entropy", data), 3.0 / 8, 1e-15);
  data.labels = nullptr;
  data.target = {target, 3, 3};
  CHECK_CLOSE(accuracy_of("cross_entropy", data), 6.0 / 8, 1e-15);
}

TEST(each_output_is_a_question_of_its_own_for_binary_losses) {
  const double target[] = {1, 0, 1, 0, 1, 1, 0, 0, 0};
  Dataset<double> data;
  data.x = {nullptr, 3, 0};
  data.target = {target, 3, 3};
  // Row 0: 3, 1, 2 for 1, 0, 1: two of three. Row 1: 0, 5, 1 for 0, 1, 1: all. Row 2: all.
  CHECK_CLOSE(accuracy_of("bce_with_logits", data), 8.0 / 9, 1e-15);
}

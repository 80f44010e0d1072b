#pragma once

// Trainers with data, made alike as often as a test likes.

#include <memory>

#include "cpp/plan/support.hpp"
#include "train/trainer.hpp"

namespace gd::testing {

inline constexpr int64_t kInputs = 6;
inline constexpr int64_t kOutputs = 3;

template <class T>
data::Dataset<T> dataset(const Samples<T>& samples, bool by_label, bool weighted = false) {
  data::Dataset<T> result;
  result.x = {samples.x.data(), samples.rows, samples.inputs};
  if (by_label) {
    result.labels = samples.labels.data();
  } else {
    result.target = {samples.target.data(), samples.rows, samples.outputs};
  }
  if (weighted) result.weights = samples.weights.data();
  return result;
}

template <class T>
std::shared_ptr<train::Model<T>> make_model(const std::string& last = "identity") {
  return std::make_shared<train::Model<T>>(stacked({8, 5, kOutputs}, "tanh", last), kInputs, 3);
}

inline train::TrainerOptions adam_with(const std::string& loss, int threads = 1) {
  train::TrainerOptions options;
  if (!loss.empty()) options.loss = loss_named(loss);
  options.rule = "adam";
  options.hyper = {0.01, 0.9, 0.999, 1e-8, 0.01, 0};
  options.threads = threads;
  options.seed = 17;
  return options;
}

template <class T>
std::vector<T> values_of(train::Model<T>& model) {
  std::vector<T> values(static_cast<size_t>(model.description().num_parameters()));
  model.copy_values(values.data());
  return values;
}

template <class T>
std::vector<T> gradients_of(train::Model<T>& model) {
  std::vector<T> gradients(static_cast<size_t>(model.description().num_parameters()));
  model.copy_gradients(gradients.data());
  return gradients;
}

// An epoch that reports to nobody.
template <class T>
double fit_epoch(train::Trainer<T>& trainer, const data::Dataset<T>& data, int64_t batch_size,
                 bool shuffle) {
  const auto go_on = [](int64_t, std::optional<double>) { return true; };
  return trainer.fit_epoch(data, batch_size, shuffle, go_on);
}

}  // namespace gd::testing

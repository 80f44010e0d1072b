#pragma once

#include <span>

#include "data/dataset.hpp"
#include "plan/operation.hpp"

namespace gd::train {

// The sum of weights that there are.
template <class T>
[[gnu::noinline]] double sum_of_given_weights(const data::Dataset<T>& data) {
  double sum = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    sum += data.shares != nullptr ? data.shares[i] : static_cast<double>(data.weights[i]);
  }
  return sum;
}

// By which the sum of a batch's losses is divided.
template <class T>
inline double sum_of_weights(const data::Dataset<T>& data) {
  if (data.weights == nullptr && data.shares == nullptr) return static_cast<double>(data.size());
  return sum_of_given_weights(data);
}

template <class T>
double sum_of_weights(const data::Dataset<T>& data, std::span<const int64_t> indices) {
  if (data.weights == nullptr && data.shares == nullptr) return static_cast<double>(indices.size());
  double sum = 0;
  for (const int64_t i : indices) {
    sum += data.shares != nullptr ? data.shares[i] : static_cast<double>(data.weights[i]);
  }
  return sum;
}

// All rows of the data as a plan takes them.
template <class T>
plan::Batch<T> batch_of(const data::Dataset<T>& data, double weight_sum) {
  plan::Batch<T> batch;
  batch.rows = data.size();
  batch.x = data.x.data;
  batch.x_stride = data.x.stride;
  batch.sparse = data.sparse;
  batch.target = data.target.data;
  batch.target_stride = data.target.stride;
  batch.labels = data.labels;
  batch.weights = data.weights;
  batch.weight_sum = weight_sum;
  return batch;
}

template <class T>
plan::Batch<T> batch_of(const data::Dataset<T>& data) {
  return batch_of(data, sum_of_weights(data));
}

}  // namespace gd::train

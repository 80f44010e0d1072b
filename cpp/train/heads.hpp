#pragma once

// The losses of several heads over data, as Trainer takes a batch of it.

#include <optional>
#include <span>
#include <vector>

#include "data/dataset.hpp"
#include "nn/graph.hpp"
#include "plan/plan.hpp"
#include "train/accuracy.hpp"

namespace gd::train {

// Loss and accuracy of one head.
struct HeadFigures {
  double loss = 0;
  std::optional<double> accuracy;
};

// Of each head sums over batches.
struct HeadSums {
  explicit HeadSums(size_t heads) : losses(heads), weights(heads) {}

  // sum(w l) / sum(w), NaN where nothing counted.
  double mean(size_t head) const { return losses[head] / weights[head]; }

  std::vector<double> losses;
  std::vector<double> weights;
};

// Of each head what belongs to it in a batch. Who calls it holds the model's mutex.
template <class T>
class Heads {
 public:
  // ValueError for an unknown loss, or a wrong number of parameters.
  Heads(const nn::Graph& graph, const plan::LossDescription& loss);

  size_t size() const { return terms_.size(); }
  const ops::LossTerms<T>& terms(size_t head) const { return terms_[head]; }

  // Prepares rows of data as the batch of a plan; 1, by which the losses' sum is to be divided, or
  // 0 where no sample counts for any head. With indices they are rows of the data, and batch() is
  // of all the data.
  double weigh(const data::Dataset<T>& rows);
  double weigh(const data::Dataset<T>& data, std::span<const int64_t> indices);
  // The same of all the data, with sums of weights that somebody else has made.
  double weigh(const data::Dataset<T>& data, std::span<const double> weight_sums);
  const plan::HeadBatch<T>* batch() const { return batch_.data(); }

  // Lets the batch's sums of losses go on from these, in one chain.
  void go_on_from(const HeadSums& sums);
  // Adds the batch's weights; and its losses, as the plan has them.
  void count(HeadSums& sums) const;
  void add(HeadSums& sums, const std::vector<double>& losses) const;
  // By the weights of the losses all of them.
  double total(const HeadSums& sums) const;

 private:
  std::vector<ops::LossTerms<T>> terms_;
  std::vector<double> weights_;  // of the losses
  std::vector<plan::HeadBatch<T>> batch_;
};

// What one head gets of data: its targets and weights, without x.
template <class T>
data::Dataset<T> rows_of_head(const data::Dataset<T>& data, size_t head);

}  // namespace gd::train

#include "train/heads.hpp"

#include "base/check.hpp"
#include "train/batch_of.hpp"

namespace gd::train {

template <class T>
data::Dataset<T> rows_of_head(const data::Dataset<T>& data, size_t head) {
  const data::HeadData<T>& from = data.heads->heads[head];
  data::Dataset<T> all;
  all.x = data.heads->x;
  all.target = from.target;
  all.labels = from.labels;
  all.weights = from.weights;
  all.shares = from.shares;
  return all.rows((data.x.data - all.x.data) / all.x.stride, data.size());
}

template <class T>
Heads<T>::Heads(const nn::Graph& graph, const plan::LossDescription& loss) {
  base::require<base::ValueError>(loss.heads.size() == graph.heads.size(), "a network of ",
                                  graph.heads.size(), " outputs with a name takes as many losses, ",
                                  "got ", loss.heads.size());
  for (size_t h = 0; h < loss.heads.size(); ++h) {
    const plan::HeadLoss& head = loss.heads[h];
    for (const double parameter : head.parameters) {
      base::representable<T>(parameter, "a parameter of loss '" + head.name + "'");
    }
    terms_.emplace_back(ops::find_loss<T>(head.name), head.parameters,
                        graph.width(graph.heads[h].node));
    weights_.push_back(head.weight);
  }
  batch_.resize(size());
}

template <class T>
double Heads<T>::weigh(const data::Dataset<T>& rows) {
  bool any = false;
  for (size_t h = 0; h < size(); ++h) {
    const data::Dataset<T> own = rows_of_head(rows, h);
    plan::HeadBatch<T>& to = batch_[h];
    to.target = own.target.data;
    to.target_stride = own.target.stride;
    to.labels = own.labels;
    to.weights = own.weights;
    to.weight_sum = sum_of_weights(own);
    to.start = 0;
    any = any || to.weight_sum > 0;
  }
  return any ? 1 : 0;
}

template <class T>
double Heads<T>::weigh(const data::Dataset<T>& data, std::span<const int64_t> indices) {
  weigh(data);
  bool any = false;
  for (size_t h = 0; h < size(); ++h) {
    batch_[h].weight_sum = sum_of_weights(rows_of_head(data, h), indices);
    any = any || batch_[h].weight_sum > 0;
  }
  return any ? 1 : 0;
}

template <class T>
double Heads<T>::weigh(const data::Dataset<T>& data, std::span<const double> weight_sums) {
  weigh(data);
  bool any = false;
  for (size_t h = 0; h < size(); ++h) {
    batch_[h].weight_sum = weight_sums[h];
    any = any || weight_sums[h] > 0;
  }
  return any ? 1 : 0;
}

template <class T>
void Heads<T>::go_on_from(const HeadSums& sums) {
  for (size_t h = 0; h < size(); ++h) batch_[h].start = sums.losses[h];
}

template <class T>
void Heads<T>::count(HeadSums& sums) const {
  for (size_t h = 0; h < size(); ++h) sums.weights[h] += batch_[h].weight_sum;
}

template <class T>
void Heads<T>::add(HeadSums& sums, const std::vector<double>& losses) const {
  for (size_t h = 0; h < size(); ++h) sums.losses[h] += losses[h];
  count(sums);
}

template <class T>
double Heads<T>::total(const HeadSums& sums) const {
  double total = 0;
  for (size_t h = 0; h < size(); ++h) {
    if (sums.weights[h] > 0) total += weights_[h] * sums.mean(h);
  }
  return total;
}

#define GD_INSTANTIATE(T)  \
  template class Heads<T>; \
  template data::Dataset<T> rows_of_head<T>(const data::Dataset<T>&, size_t);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::train

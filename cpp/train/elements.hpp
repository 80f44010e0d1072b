#pragma once

// How many elements sparse rows have, which plans must have room for.

#include <algorithm>

#include "base/sparse_rows.hpp"
#include "data/dataset.hpp"
#include "data/sampler.hpp"
#include "nn/graph.hpp"

namespace gd::train {

// The most that any sparse input has in `at_once` rows next to each other, of the `count` rows
// row(0), row(1), ... of the data.
template <class T, class Row>
int64_t most_elements(const nn::Graph& graph, const data::Dataset<T>& data, int64_t count,
                      int64_t at_once, Row&& row) {
  int64_t most = 0;
  int64_t column = 0;
  for (size_t k = 0; k < graph.inputs.size(); column += graph.inputs[k++].columns_of_x()) {
    if (!graph.inputs[k].sparse) continue;
    const base::SparseRows<T>& rows = data.sparse[k];
    const auto elements = [&](int64_t i) {
      const int64_t at = base::row_of_number(data.x(row(i), column));
      return rows.begins[at + 1] - rows.begins[at];
    };
    int64_t sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      sum += elements(i) - (i < at_once ? 0 : elements(i - at_once));
      most = std::max(most, sum);
    }
  }
  return most;
}

// Of all rows in their order.
template <class T>
int64_t most_elements(const nn::Graph& graph, const data::Dataset<T>& data, int64_t at_once) {
  return most_elements(graph, data, data.size(), at_once, [](int64_t i) { return i; });
}

// Of an epoch's batches, each by itself.
template <class T>
int64_t most_elements(const nn::Graph& graph, const data::Dataset<T>& data,
                      const data::BatchSampler& sampler, int64_t at_once) {
  int64_t most = 0;
  for (int64_t batch = 0; batch < sampler.batches(); ++batch) {
    const int64_t first = sampler.batch_begin(batch);
    const auto found =
        most_elements(graph, data, sampler.batch_rows(batch), at_once, [&](int64_t i) {
          return sampler.shuffled() ? sampler.batch(batch)[static_cast<size_t>(i)] : first + i;
        });
    most = std::max(most, found);
  }
  return most;
}

// What plans are made for, of the sparse rows that there have been so far.
struct Elements {
  int64_t room = 0;   // of a piece, where gradients are made
  int64_t a_row = 0;  // on average

  // Whether there must be more room than plans have.
  bool make_room(int64_t elements) {
    if (elements <= room) return false;
    room = elements + elements / 4;
    return true;
  }
  // Whether rows have so many more than before that they are worth more workers.
  template <class T>
  bool expect(const nn::Graph& graph, const base::SparseRows<T>* sparse) {
    int64_t most = 0;
    for (size_t k = 0; k < graph.inputs.size(); ++k) {
      const base::SparseRows<T>& rows = sparse[k];
      if (graph.inputs[k].sparse) {
        most = std::max(most, (rows.begins[rows.rows] + rows.rows - 1) / rows.rows);
      }
    }
    if (most <= 2 * a_row) return false;
    a_row = most;
    return true;
  }
};

}  // namespace gd::train

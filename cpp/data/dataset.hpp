#pragma once

#include <cstdint>

#include "base/matrix_view.hpp"
#include "base/sparse_rows.hpp"

namespace gd::data {

// Targets and weights of one of several heads, of all samples; see Dataset.
template <class T>
struct HeadData {
  base::MatrixView<const T> target;
  const int64_t* labels = nullptr;
  const T* weights = nullptr;
  const double* shares = nullptr;
};

// Those of all heads, and the x that they belong to: a part of a dataset finds its place in them by
// its own x, so that cutting one costs nothing where there are no heads.
template <class T>
struct AllHeads {
  base::MatrixView<const T> x;
  const HeadData<T>* heads = nullptr;
};

// Samples somebody else owns: inputs, and either dense targets or class indices, and weights or
// none (then all are one).
template <class T>
struct Dataset {
  base::MatrixView<const T> x;  // (N, inputs)
  // By the network's inputs those that are sparse, whose rows x has the numbers of; null: none is.
  const base::SparseRows<T>* sparse = nullptr;
  base::MatrixView<const T> target;  // (N, outputs); data null when labels are given
  const int64_t* labels = nullptr;   // (N,)
  const T* weights = nullptr;        // (N,)
  // (N,), how much each sample counts in the sum of weights, where that is not its weight.
  const double* shares = nullptr;
  const AllHeads<T>* heads = nullptr;  // where there are several; then the four above are null

  int64_t size() const { return x.rows; }

  // Rows [begin, begin + count).
  Dataset rows(int64_t begin, int64_t count) const {
    Dataset part = *this;
    part.x.data += begin * x.stride;
    part.x.rows = count;
    if (target.data != nullptr) {
      part.target.data += begin * target.stride;
      part.target.rows = count;
    }
    if (labels != nullptr) part.labels += begin;
    if (weights != nullptr) part.weights += begin;
    if (shares != nullptr) part.shares += begin;
    return part;
  }
};

}  // namespace gd::data

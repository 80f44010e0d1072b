#pragma once

#include <cstdint>

#include "base/sparse_rows.hpp"
#include "optim/rule.hpp"
#include "plan/slicing.hpp"
#include "plan/sum_order.hpp"

namespace gd::plan {

// What random layers draw from: the same numbers however a batch is shared.
struct Draw {
  uint64_t seed = 0;
  uint64_t step = 0;
  int64_t first_row = 0;  // in the batch of a step, of which this may be a part
};

// Targets of one of several heads, as Batch has them of the only one.
template <class T>
struct HeadBatch {
  const T* target = nullptr;  // (rows, its outputs), or null when labels are given
  int64_t target_stride = 0;
  const int64_t* labels = nullptr;  // (rows,)
  const T* weights = nullptr;       // (rows,), or null for ones
  double weight_sum = 0;            // of the whole step; 0: the head counts nothing in it
  double start = 0;                 // what its sum of losses goes on from
  // Whether rows are counted from those that were gathered for a piece of a step, and not from the
  // step's own.
  bool is_piece = false;
};

// What changes from step to step; everything else is fixed when the plan is compiled.
template <class T>
struct Batch {
  int64_t rows = 0;
  const T* x = nullptr;  // (rows, inputs)
  int64_t x_stride = 0;
  // By the network's inputs those that are sparse, whose rows x has the numbers of; null: none is.
  const base::SparseRows<T>* sparse = nullptr;
  const T* target = nullptr;  // (rows, outputs), or null when labels are given
  int64_t target_stride = 0;
  const int64_t* labels = nullptr;  // (rows,)
  const T* weights = nullptr;       // (rows,), or null for ones
  double weight_sum = 0;            // of the rows
  // Of each head where there are several losses; then the four above are null, and the sum is 1.
  const HeadBatch<T>* heads = nullptr;
  int64_t first_row = 0;          // where its rows lie in the plan's buffers
  int64_t rows_together = 0;      // of all that run at once, this being part of them
  int64_t part = kSumPart;        // longest chain of a sum over samples
  const T* parameters = nullptr;  // a flat buffer
  T* gradients = nullptr;         // laid out as the parameters
  T* state = nullptr;             // what layers keep beside them
  bool accumulate = false;        // gradients are added to what is there
  // With a rule, gradients are used up as they are made, and none is kept.
  optim::Rule<T>* rule = nullptr;
  const optim::UpdateInput<T>* update = nullptr;
  T* input_gradient = nullptr;         // (rows, inputs)
  const Slicing<T>* slices = nullptr;  // the rows are of several slices, whose gradients are summed
  Draw draw;

  // Rows [begin, begin + count); weight_sum stays that of the whole, so that parts add up to it.
  Batch rows_from(int64_t begin, int64_t count) const {
    Batch result = *this;
    result.rows = count;
    result.x += begin * x_stride;
    if (target != nullptr) result.target += begin * target_stride;
    if (labels != nullptr) result.labels += begin;
    if (weights != nullptr) result.weights += begin;
    return result;
  }
};

}  // namespace gd::plan

#pragma once

// What is done to pieces of values that are in cache: behind the step that made them, before one
// that reads them, or as a step of its own.

#include <vector>

#include "kernels/table.hpp"
#include "plan/step.hpp"

namespace gd::plan {

// Some rows and columns of a value.
struct Piece {
  int64_t row = 0;
  int64_t rows = 0;
  int64_t col = 0;
  int64_t cols = 0;
};

template <class T>
class Finishes {
 public:
  Finishes() = default;
  Finishes(const std::vector<Pointwise<T>>& list, const Places<T>& places);

  bool empty() const { return items_.empty(); }
  // All of them in order; whole rows where an activation needs these.
  void run(const Batch<T>& batch, const Piece& piece) const;

 private:
  struct Item {
    Pointwise<T> what;
    Rows<T> from, to, other;
  };
  void run(const Item& item, const Batch<T>& batch, const Piece& piece) const;

  std::vector<Item> items_;
  kernels::LayerKernels<T> kernels_{};
};

}  // namespace gd::plan

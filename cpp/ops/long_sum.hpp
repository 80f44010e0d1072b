#pragma once

// A sum over so many products that it begins anew every kLongSum of them. The first of these sums
// goes into C, others beside it and are then added; the parts of the last are added to C one by
// one, so that what a product ends with, bias and activation, is where it always is.

#include <algorithm>

#include "base/panels.hpp"
#include "ops/gemm_units.hpp"
#include "parallel/partition.hpp"

namespace gd::ops {

using parallel::Range;

template <class T>
class LongSum {
 public:
  // `beside`: (m, n), laid out as C.
  LongSum(const GemmProblem<T>& problem, T* beside) : p_(problem), beside_(beside) {}

  int64_t count() const { return std::max<int64_t>(1, ceil_div(p_.k, kLongSum)); }
  Range depths(int64_t index) const {
    return {index * kLongSum, std::min((index + 1) * kLongSum, p_.k)};
  }

  GemmProblem<T> product(int64_t index) const {
    GemmProblem<T> product = p_;
    if (index + 1 == count()) {
      product.accumulate = true;
      return product;
    }
    product.bias = nullptr;
    product.epilogue = {};
    product.consume = nullptr;
    if (index == 0) return product;
    product.accumulate = false;
    product.c = beside_;
    if (p_.c_layout == Layout::strided) product.c_row = p_.n;
    return product;
  }

  // What follows that product, over one block of C whose columns are whole panels.
  void add(int64_t index, Range rows, Range columns) const {
    if (index == 0 || index + 1 == count()) return;
    const auto& add = typed<T>().reduce.add_parts;
    if (p_.c_layout == Layout::strided) {
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        T* const c = p_.c + i * p_.c_row + columns.begin;
        add(columns.size(), c, beside_ + i * p_.n + columns.begin, 0, 1, c);
      }
      return;
    }
    for (int64_t j = columns.begin; j < columns.end; j += base::kPanel) {
      const int64_t at = base::panel_index(p_.m, p_.n, rows.begin, j);
      const int64_t size = rows.size() * base::panel_width(p_.n, j);
      add(size, p_.c + at, beside_ + at, 0, 1, p_.c + at);
    }
  }

 private:
  const GemmProblem<T>& p_;
  T* beside_;
};

}  // namespace gd::ops

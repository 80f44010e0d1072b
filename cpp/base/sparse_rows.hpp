#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace gd::base {

// A matrix of which most elements are zero (compressed sparse rows): row i has the elements from
// begins[i] to begins[i + 1], by ascending column.
template <class T>
struct SparseRows {
  int64_t rows = 0;
  const int64_t* begins = nullptr;   // rows + 1
  const int32_t* columns = nullptr;  // of each element
  const T* values = nullptr;
};

// In the one matrix x that all inputs of a network lie in, a sparse input is a column of the
// numbers of its rows, so that samples are shuffled and cut as all others are. They stand there as
// bits, which are copied and nothing else.
template <class T>
using RowBits = std::conditional_t<sizeof(T) == sizeof(int32_t), int32_t, int64_t>;

template <class T>
T row_as_number(int64_t row) {
  return std::bit_cast<T>(static_cast<RowBits<T>>(row));
}

template <class T>
int64_t row_of_number(T number) {
  return std::bit_cast<RowBits<T>>(number);
}

}  // namespace gd::base

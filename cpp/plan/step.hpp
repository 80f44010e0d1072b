#pragma once

// A step of a plan while it is compiled: plain data that passes rewrite, and in the end how it
// becomes an operation.

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/matrix_view.hpp"
#include "ops/formulas.hpp"
#include "ops/gemm.hpp"
#include "plan/operation.hpp"

namespace gd::plan {

// A matrix of a row for each sample of the batch, by its number.
using ValueId = int;
inline constexpr ValueId kNoValue = -1;

struct Value {
  int64_t cols = 0;
  int64_t rows = 0;  // 0: one a sample
  // Where it may lie: for as long as the plan lives, or while it is in use.
  enum class Pool : uint8_t { batch, kept, passing } pool = Pool::passing;
  // What it may take the place of, where nothing reads that any more.
  ValueId over = kNoValue;
  // Whether the caller reads it when all is done, or writes it before backward.
  bool is_output = false;
  bool exact = false;  // no gap between its rows
  bool is_output_gradient = false;
  bool is_input_gradient = false;  // of the pool of the batch
  int64_t column = 0;              // where it begins in the batch's x, or in the gradient at it
};

// Where a value's rows lie. What a batch supplies itself has no place here.
template <class T>
struct Rows {
  T* data = nullptr;         // null: the batch's x
  bool is_gradient = false;  // without data: the gradient at it, which the batch has a place for
  int64_t cols = 0;
  int64_t stride = 0;
  // Values of different widths share memory, so that a part of a batch has its place in it by the
  // widest: where its first row begins is a multiple of this. Without data: its first column in x,
  // in bytes, which a step adds in one instruction.
  int64_t pitch = 0;

  // Whether it is for all samples together.
  bool of_all() const { return data != nullptr && pitch == 0; }
  const T* read(const Batch<T>& batch) const {
    if (data != nullptr) return data + batch.first_row * pitch;
    const T* const all = is_gradient ? batch.input_gradient : batch.x;
    return reinterpret_cast<const T*>(reinterpret_cast<const char*>(all) + pitch);
  }
  int64_t read_stride(const Batch<T>& batch) const {
    return data != nullptr || is_gradient ? stride : batch.x_stride;
  }
  T* write(const Batch<T>& batch) const {
    if (data != nullptr) return data + batch.first_row * pitch;
    return batch.input_gradient + pitch / static_cast<int64_t>(sizeof(T));
  }
  base::MatrixView<const T> in(const Batch<T>& batch) const {
    return {read(batch), batch.rows, cols, read_stride(batch)};
  }
  base::MatrixView<T> out(const Batch<T>& batch) const {
    return {write(batch), batch.rows, cols, stride};
  }
};

// What operations are made from, once every value has its place.
template <class T>
struct Places {
  std::vector<Rows<T>> rows;  // by ValueId
  ops::GemmScratch<T> scratch;
  int max_workers = 1;

  const Rows<T>& of(ValueId value) const { return rows[static_cast<size_t>(value)]; }
};

// An activation with its parameters in the network's type.
template <class T>
struct ActivationUse {
  const ops::ActivationKernel<T>* kernel = nullptr;  // null: identity
  ops::FormulaParameters<T> parameters;
};

// What is done to the elements of a value, each by itself, or to its rows.
template <class T>
struct Pointwise {
  enum class Kind : uint8_t {
    activation,  // to = f(from)
    derivative,  // from = from * f'(other), and to is from
    add,         // to = from + other
    scale,       // to = from * factor
    drop,        // to = from * factor, or -0 at random
    keep,        // to = from * factor, or 0 where that left out other
  };
  Kind kind = Kind::activation;
  ValueId from = kNoValue;
  ValueId to = kNoValue;
  ValueId other = kNoValue;  // what else it reads
  ActivationUse<T> use = {};
  int64_t members = 1;  // of an activation of whole rows: of so many side by side
  T factor = 1;
  uint32_t threshold = 0;  // of 2^16, below which half a word drops its element
  uint32_t layer = 0;      // whose words these are

  bool in_place() const { return from == to; }
  bool needs_whole_rows() const {
    return (kind == Kind::activation || kind == Kind::derivative) && use.kernel->row_wise;
  }
};

// The pieces in which a step makes its result, in cache, one after the other: tiles of a matmul,
// all rows of some columns, or whole rows.
enum class Pieces : uint8_t { tiles, columns, rows };

template <class T>
struct Step {
  Step(Zone zone_, Zone phase_, int node_ = -1, std::vector<ValueId> reads_ = {},
       std::vector<ValueId> writes_ = {})
      : zone(zone_),
        phase(phase_),
        node(node_),
        reads(std::move(reads_)),
        writes(std::move(writes_)) {}

  Zone zone;
  Zone phase;
  int node;  // of the graph, -1: none
  std::vector<ValueId> reads;
  std::vector<ValueId> writes;
  // Offsets of parameters. A gradient counts as written where its parameter is, for it may update
  // it at once.
  std::vector<int64_t> parameters_read;
  std::vector<int64_t> parameters_written;
  // Whether workers that take parts of a batch through all layers could not share it: what it sums
  // is no buffer that each could have of its own.
  bool by_tiles = false;

  // What passes may join: a step may go on with each piece of its result while that is in cache;
  // and begin with what would be done to a value that it takes, before it reads a piece of that.
  ValueId result = kNoValue;
  Pieces pieces = Pieces::rows;
  std::vector<Pointwise<T>> finishes;
  ValueId takes = kNoValue;
  std::vector<Pointwise<T>> starts;
  std::optional<Pointwise<T>> alone;  // all that this step is

  bool touches(ValueId value) const {
    const auto has = [&](const std::vector<ValueId>& values) {
      return std::ranges::find(values, value) != values.end();
    };
    return has(reads) || has(writes);
  }
  // What its result is once it has finished.
  ValueId finished() const { return finishes.empty() ? result : finishes.back().to; }

  std::function<std::unique_ptr<Operation<T>>(const Step&, const Places<T>&)> make;

  // Found by passes.
  bool barrier_after = true;
  int epoch = 0;  // barriers before it
};

}  // namespace gd::plan

#pragma once

// Of a matrix of which a batch sees few rows: which ones a gradient is of. What lies in its flat
// buffer at all others is zero, so that only those need be read, scaled, used up and cleared.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ops/extents.hpp"
#include "parallel/partition.hpp"

namespace gd::ops {

class SeenRows {
 public:
  // Rows of `cols` elements from `offset` on, in panels of `panel` columns (base/panels.hpp); one
  // row after the other where that is all of them.
  SeenRows(int64_t offset, int64_t rows, int64_t cols, int64_t panel)
      : offset_(offset),
        rows_(rows),
        cols_(cols),
        panel_(panel),
        words_(static_cast<size_t>((rows + kGranule - 1) / kGranule)) {}

  // Several threads may change rows at once where no granule is of two of them.
  static constexpr int64_t kGranule = 64;

  int64_t offset() const { return offset_; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t size() const { return rows_ * cols_; }

  void see(int64_t row) { words_[word_of(row)] |= bit_of(row); }
  // Calls f(row) for those seen among [begin, end), in order.
  template <class F>
  void for_each(int64_t begin, int64_t end, F&& f) const {
    for (int64_t at = begin; at < end;) {
      const uint64_t left = words_[word_of(at)] >> (at % kGranule);
      if (left == 0) {
        at = (at / kGranule + 1) * kGranule;
        continue;
      }
      at += std::countr_zero(left);
      if (at < end) f(at++);
    }
  }
  // The same where whole granules are forgotten on the way.
  template <class F>
  void forget(parallel::Range granules, F&& f) {
    for_each(granules.begin * kGranule, std::min(granules.end * kGranule, rows_), f);
    std::fill(words_.begin() + granules.begin, words_.begin() + granules.end, 0);
  }
  int64_t granules() const { return static_cast<int64_t>(words_.size()); }

  // Calls f(begin, size) for the pieces of a flat buffer that a row is.
  template <class F>
  void for_pieces(int64_t row, F&& f) const {
    for (int64_t first = 0; first < cols_; first += panel_) {
      const int64_t width = std::min(panel_, cols_ - first);
      f(offset_ + first * rows_ + row * width, width);
    }
  }

  // Calls f(run) for what seen rows have of a piece of a flat buffer, in order.
  template <class F>
  void for_runs(parallel::Range piece, F&& f) const {
    for (int64_t first = 0; first < cols_; first += panel_) {
      const int64_t width = std::min(panel_, cols_ - first);
      const int64_t start = offset_ + first * rows_;
      const int64_t begin = std::max(piece.begin, start);
      const int64_t end = std::min(piece.end, start + rows_ * width);
      if (begin >= end) continue;
      for_each((begin - start) / width, (end - start + width - 1) / width, [&](int64_t row) {
        const int64_t at = start + row * width;
        f(parallel::Range{std::max(at, begin), std::min(at + width, end)});
      });
    }
  }

 private:
  static size_t word_of(int64_t row) { return static_cast<size_t>(row / kGranule); }
  static uint64_t bit_of(int64_t row) { return uint64_t{1} << (row % kGranule); }

  int64_t offset_;
  int64_t rows_;
  int64_t cols_;
  int64_t panel_;
  std::vector<uint64_t> words_;
};

using SparseTables = std::vector<std::unique_ptr<SeenRows>>;

// What a gradient is of, in a flat buffer: extents, and the rows of sparse matrices that it has
// seen.
struct Seen {
  Extents extents;
  std::span<const std::unique_ptr<SeenRows>> sparse;

  // Calls f(run) for each run of `piece`.
  template <class F>
  void for_runs(parallel::Range piece, F&& f) const {
    for_extents(extents, piece, f);
    for (const auto& table : sparse) table->for_runs(piece, f);
  }
  int64_t end() const {
    int64_t last = extents_end(extents);
    for (const auto& table : sparse) last = std::max(last, table->offset() + table->size());
    return last;
  }
  int64_t most_elements() const {
    int64_t size = elements_of(extents);
    for (const auto& table : sparse) size += table->size();
    return size;
  }
};

}  // namespace gd::ops

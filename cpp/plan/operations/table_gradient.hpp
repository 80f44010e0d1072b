#pragma once

// The gradient of tables of which a batch reads few rows, whatever says which: codes, see
// table.hpp, or the columns of sparse rows, see sparse_product.hpp.

#include <algorithm>

#include "base/sort_by_code.hpp"
#include "plan/operations/pointwise.hpp"
#include "plan/operations/table.hpp"

namespace gd::plan {

// A range of a table's rows: one worker's, so that no two write one row.
struct TableTile {
  size_t table;
  int64_t begin;
  int64_t end;
};

// Enough of them for all workers; of a table whose rows are all updated, no larger than what takes
// much longer than to look for its rows among so many entries.
std::vector<TableTile> table_tiles(const std::vector<TableShape>& tables, int64_t entries,
                                   int workers);

// Source says what reads which rows:
//   using Entry = ...;  // kernels::TableEntry, or WeightedEntry
//   // Those of a tile, in the order of the batch's rows, their codes counted from its first row;
//   // returns how many.
//   size_t collect(const Batch<T>&, const TableTile&, bool is_whole, Entry* to) const;
//   // What adds up a run of them.
//   void (*sum)(const kernels::EntrySum<T, Entry>&);
template <class T, class Source>
class TableGradient final : public Operation<T> {
 public:
  using Entry = typename Source::Entry;
  using Entries = std::span<const Entry>;

  // `most`: entries that a batch has of a table at once.
  TableGradient(const Step<T>& step, int max_workers, Cost cost, const Rows<T>& gradient,
                std::vector<TableShape> tables, int64_t most, Source source)
      : Operation<T>(step.zone, step.phase, step.node, max_workers, cost),
        gradient_(gradient),
        tables_(std::move(tables)),
        tiles_(table_tiles(tables_, most, max_workers)),
        scratch_(static_cast<size_t>(max_workers), Scratch(most)),
        source_(std::move(source)) {}

  int64_t updates() const override {
    int64_t size = 0;
    for (const TableShape& table : tables_) {
      if (table.seen == nullptr) size += table.rows * table.width;
    }
    return size;
  }
  bool updates_apart() const override { return updates() > 0; }

 private:
  // Elements of a gradient that is used up at once, which stay in L1.
  static constexpr int64_t kPiece = 1024;
  // Entries from one whose row is updated to one whose row is fetched.
  static constexpr size_t kAhead = 8;

  // What a worker needs for a tile.
  struct Scratch {
    explicit Scratch(int64_t most) : entries(static_cast<size_t>(most)), beside(entries.size()) {}
    std::vector<Entry> entries;
    std::vector<Entry> beside;
  };

  // Calls f(run) for each run of entries of one row of a table.
  template <class F>
  static void for_runs(Entries entries, F&& f) {
    for (size_t begin = 0; begin < entries.size();) {
      size_t end = begin + 1;
      while (end < entries.size() && entries[end].code == entries[begin].code) ++end;
      f(entries.subspan(begin, end - begin));
      begin = end;
    }
  }

  void work(ops::Worker& worker, const Batch<T>& batch) override {
    const auto tiles = static_cast<int64_t>(tiles_.size());
    Scratch& scratch = scratch_[static_cast<size_t>(worker.slot())];
    this->queue().for_each(worker, tiles, [&](int64_t index) {
      const TableTile& tile = tiles_[static_cast<size_t>(index)];
      const TableShape& table = tables_[tile.table];
      const Entries entries = entries_of(batch, tile, scratch);
      if (batch.rule == nullptr) {
        store(batch, table, tile, entries);
      } else if (table.seen == nullptr) {
        update_all(worker, batch, table, tile, entries);
      } else {
        update_seen(batch, table, tile, entries);
      }
    });
  }

  // Those of a tile, by their codes, which count from its first row.
  Entries entries_of(const Batch<T>& batch, const TableTile& tile, Scratch& scratch) const {
    const bool is_whole = tile.begin == 0 && tile.end == tables_[tile.table].rows;
    const size_t count = source_.collect(batch, tile, is_whole, scratch.entries.data());
    return base::sort_by_code<Entry>({scratch.entries.data(), count}, scratch.beside.data(),
                                     static_cast<uint32_t>(tile.end - tile.begin));
  }

  // to = (add ? to : 0) + the rows of a run, `width` of their columns from `column` on.
  void sum(const Batch<T>& batch, Entries run, int64_t column, int64_t width, bool add,
           T* to) const {
    kernels::EntrySum<T, Entry> sum{};
    sum.width = width;
    sum.from = gradient_.read(batch) + column;
    sum.ldf = gradient_.read_stride(batch);
    sum.to = to;
    sum.add = add;
    while (!run.empty()) {
      size_t count = 1;
      if (run.size() > 1) {
        const int64_t end = (run.front().row / batch.part + 1) * batch.part;
        while (count < run.size() && run[count].row < end) ++count;
      }
      sum.entries = run.data();
      sum.count = static_cast<int64_t>(count);
      source_.sum(sum);
      sum.add = true;
      run = run.subspan(count);
    }
  }

  void store(const Batch<T>& batch, const TableShape& table, const TableTile& tile,
             Entries entries) const {
    T* const gradients = batch.gradients + table.offset;
    const auto row_at = [&](int64_t row) { return gradients + row * table.width; };
    if (table.seen == nullptr) {
      if (!batch.accumulate) {
        std::fill(row_at(tile.begin), row_at(tile.end), T{0});
      }
    } else if (!batch.accumulate && batch.draw.first_row == 0) {
      constexpr int64_t granule = ops::SeenRows::kGranule;
      const parallel::Range granules{tile.begin / granule, (tile.end + granule - 1) / granule};
      table.seen->forget(granules,
                         [&](int64_t row) { std::fill_n(row_at(row), table.width, T{0}); });
    } else if (!batch.accumulate) {  // a long sum that begins anew, of which others were seen
      table.seen->for_each(tile.begin, tile.end,
                           [&](int64_t row) { std::fill_n(row_at(row), table.width, T{0}); });
    }
    for_runs(entries, [&](Entries run) {
      const int64_t row = tile.begin + run.front().code;
      sum(batch, run, table.column, table.width, true, row_at(row));
      if (table.seen != nullptr) table.seen->see(row);
    });
  }

  void update_all(ops::Worker& worker, const Batch<T>& batch, const TableShape& table,
                  const TableTile& tile, Entries entries) const {
    alignas(base::kAlignment) T sums[kPiece] = {};
    const int64_t at_once = std::max<int64_t>(1, kPiece / table.width);
    for (int64_t begin = tile.begin; begin < tile.end; begin += at_once) {
      const int64_t rows = std::min(at_once, tile.end - begin);
      size_t count = 0;
      while (count < entries.size() && tile.begin + entries[count].code < begin + rows) ++count;
      const Entries own = entries.first(count);
      entries = entries.subspan(count);
      // More than one of these only where a row is more than a piece.
      for (int64_t column = 0; column < table.width; column += kPiece) {
        const int64_t width = std::min(kPiece, table.width - column);
        const auto row_of = [&](Entries run) {
          return sums + (tile.begin + run.front().code - begin) * width;
        };
        for_runs(own, [&](Entries run) {
          sum(batch, run, table.column + column, width, false, row_of(run));
        });
        {
          const profiling::InnerTime time(worker.lane());
          const std::span<const T> gradients(sums, static_cast<size_t>(rows * width));
          batch.rule->update_piece(*batch.update, table.offset + begin * table.width + column,
                                   gradients);
        }
        for_runs(own, [&](Entries run) { std::fill_n(row_of(run), width, T{0}); });
      }
    }
  }

  void update_seen(const Batch<T>& batch, const TableShape& table, const TableTile& tile,
                   Entries entries) const {
    alignas(base::kAlignment) T sums[kPiece];
    const int states = batch.rule->states();
    const auto place_of = [&](const Entry& entry) {
      return table.offset + (tile.begin + entry.code) * table.width;
    };
    const auto fetch = [&](const Entry& entry) {
      constexpr int64_t kLine = 64 / sizeof(T);
      const int64_t at = place_of(entry);
      for (int64_t j = 0; j < std::min(table.width, kPiece); j += kLine) {
        __builtin_prefetch(batch.update->weights + at + j, 1);
        for (int k = 0; k < states; ++k) __builtin_prefetch(batch.update->states[k] + at + j, 1);
      }
    };
    for (size_t i = 0; i < std::min(kAhead, entries.size()); ++i) fetch(entries[i]);
    const Entry* const end = entries.data() + entries.size();
    for_runs(entries, [&](Entries run) {
      for (const Entry& entry : run) {
        const Entry* const ahead = &entry + kAhead;
        if (end - &entry > static_cast<ptrdiff_t>(kAhead)) fetch(*ahead);
      }
      for (int64_t column = 0; column < table.width; column += kPiece) {
        const int64_t width = std::min(kPiece, table.width - column);
        sum(batch, run, table.column + column, width, false, sums);
        const std::span<const T> gradients(sums, static_cast<size_t>(width));
        batch.rule->update_piece(*batch.update, place_of(run.front()) + column, gradients);
      }
    });
  }

  Rows<T> gradient_;
  std::vector<TableShape> tables_;
  std::vector<TableTile> tiles_;
  std::vector<Scratch> scratch_;  // of each worker
  Source source_;
};

}  // namespace gd::plan

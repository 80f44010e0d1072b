#include "plan/operations/table.hpp"

#include <algorithm>

#include "base/sort_by_code.hpp"
#include "kernels/dispatch.hpp"
#include "plan/operations/pointwise.hpp"

namespace gd::plan {

namespace {

using kernels::TableEntry;
using Entries = std::span<const TableEntry>;

int64_t width_of(const std::vector<TableShape>& tables) {
  int64_t width = 0;
  for (const TableShape& table : tables) width += table.width;
  return width;
}

std::vector<int64_t> offsets_of(const std::vector<TableShape>& tables) {
  std::vector<int64_t> offsets;
  for (const TableShape& table : tables) offsets.push_back(table.offset);
  return offsets;
}

// Calls f(run) for each run of entries of one row of a table.
template <class F>
void for_runs(Entries entries, F&& f) {
  for (size_t begin = 0; begin < entries.size();) {
    size_t end = begin + 1;
    while (end < entries.size() && entries[end].code == entries[begin].code) ++end;
    f(entries.subspan(begin, end - begin));
    begin = end;
  }
}

// What a worker needs for a range of a table.
struct Scratch {
  explicit Scratch(int64_t rows) : entries(static_cast<size_t>(rows)), beside(entries.size()) {}
  std::vector<TableEntry> entries;
  std::vector<TableEntry> beside;
};

// A range of a table's rows: one worker's, so that no two write one row.
struct Tile {
  size_t table;
  int64_t begin;
  int64_t end;
};

// Enough of them for all workers; of a table whose rows are all updated, no larger than what takes
// much longer than to look for its codes in the batch.
std::vector<Tile> tiles_of(const std::vector<TableShape>& tables, int64_t capacity, int workers) {
  const int64_t elements = std::max<int64_t>(1 << 16, 32 * capacity);
  const auto count = static_cast<int64_t>(tables.size());
  std::vector<Tile> tiles;
  for (size_t t = 0; t < tables.size(); ++t) {
    const TableShape& table = tables[t];
    int64_t pieces = workers == 1 ? 1 : (4 * workers + count - 1) / count;
    if (workers > 1 && table.seen == nullptr) {
      pieces = std::max(pieces, table.rows * table.width / elements);
    }
    const int64_t granules = (table.rows + ops::SeenRows::kGranule - 1) / ops::SeenRows::kGranule;
    const auto parts = static_cast<int>(std::min(pieces, granules));
    for (int part = 0; part < parts; ++part) {
      const parallel::Range rows =
          parallel::split(table.rows, parts, part, ops::SeenRows::kGranule);
      tiles.push_back({t, rows.begin, rows.end});
    }
  }
  return tiles;
}

template <class T>
Cost gradient_cost(const std::vector<TableShape>& tables) {
  const int64_t width = width_of(tables);
  Cost cost;
  cost.flops_a_row = width;
  cost.bytes_a_row = (2 * width + static_cast<int64_t>(tables.size())) * int64_t{sizeof(T)};
  for (const TableShape& table : tables) {
    if (table.seen == nullptr) cost.bytes_fixed += table.rows * table.width * int64_t{sizeof(T)};
  }
  return cost;
}

template <class T>
class TableGradient final : public Operation<T> {
 public:
  TableGradient(const Step<T>& step, const Places<T>& places, const Rows<T>& codes,
                const Rows<T>& gradient, std::vector<TableShape> tables, int64_t capacity)
      : Operation<T>(step.zone, step.phase, step.node, places.max_workers,
                     gradient_cost<T>(tables)),
        codes_(codes),
        gradient_(gradient),
        tables_(std::move(tables)),
        tiles_(tiles_of(tables_, capacity, places.max_workers)),
        scratch_(static_cast<size_t>(places.max_workers), Scratch(capacity)),
        entry_sum_(kernels::kernels().of<T>().tables.entry_sum) {}

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

  void work(ops::Worker& worker, const Batch<T>& batch) override {
    const auto tiles = static_cast<int64_t>(tiles_.size());
    Scratch& scratch = scratch_[static_cast<size_t>(worker.slot())];
    this->queue().for_each(worker, tiles, [&](int64_t index) {
      const Tile& tile = tiles_[static_cast<size_t>(index)];
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
  Entries entries_of(const Batch<T>& batch, const Tile& tile, Scratch& scratch) const {
    const auto codes = codes_.in(batch);
    const T* at = codes.data + tile.table;
    const bool whole = tile.begin == 0 && tile.end == tables_[tile.table].rows;
    size_t count = 0;
    for (int64_t i = 0; i < codes.rows; ++i, at += codes.stride) {
      const int64_t code = static_cast<int64_t>(*at) - tile.begin;
      scratch.entries[count] = {static_cast<uint32_t>(code), static_cast<uint32_t>(i)};
      count += whole || (code >= 0 && code < tile.end - tile.begin) ? 1 : 0;
    }
    return base::sort_by_code<TableEntry>({scratch.entries.data(), count}, scratch.beside.data(),
                                          static_cast<uint32_t>(tile.end - tile.begin));
  }

  // to = (add ? to : 0) + the rows of a run, `width` of their columns from `column` on.
  void sum(const Batch<T>& batch, Entries run, int64_t column, int64_t width, bool add,
           T* to) const {
    kernels::EntrySum<T> sum{};
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
      entry_sum_(sum);
      sum.add = true;
      run = run.subspan(count);
    }
  }

  void store(const Batch<T>& batch, const TableShape& table, const Tile& tile,
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
                  const Tile& tile, Entries entries) const {
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

  void update_seen(const Batch<T>& batch, const TableShape& table, const Tile& tile,
                   Entries entries) const {
    alignas(base::kAlignment) T sums[kPiece];
    const int states = batch.rule->states();
    const auto place_of = [&](const TableEntry& entry) {
      return table.offset + (tile.begin + entry.code) * table.width;
    };
    const auto fetch = [&](const TableEntry& entry) {
      constexpr int64_t kLine = 64 / sizeof(T);
      const int64_t at = place_of(entry);
      for (int64_t j = 0; j < std::min(table.width, kPiece); j += kLine) {
        __builtin_prefetch(batch.update->weights + at + j, 1);
        for (int k = 0; k < states; ++k) __builtin_prefetch(batch.update->states[k] + at + j, 1);
      }
    };
    for (size_t i = 0; i < std::min(kAhead, entries.size()); ++i) fetch(entries[i]);
    const TableEntry* const end = entries.data() + entries.size();
    for_runs(entries, [&](Entries run) {
      for (const TableEntry& entry : run) {
        const TableEntry* const ahead = &entry + kAhead;
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

  Rows<T> codes_;
  Rows<T> gradient_;
  std::vector<TableShape> tables_;
  std::vector<Tile> tiles_;
  std::vector<Scratch> scratch_;  // of each worker
  void (*entry_sum_)(const kernels::EntrySum<T>&);
};

// What is more than this is not read again before it has left the caches.
constexpr int64_t kLargeTable = 1 << 18;

}  // namespace

template <class T>
Step<T> lookup_step(const Builder<T>& builder, ValueId codes, const std::vector<TableShape>& tables,
                    ValueId to) {
  Step<T> step(Zone::kLookup, Zone::kForward, builder.node(), {codes}, {to});
  step.parameters_read = offsets_of(tables);
  step.make = [=](const Step<T>& made, const Places<T>& places) {
    const Rows<T> from = places.of(codes), target = places.of(to);
    std::vector<kernels::LookupTable> found;
    for (const TableShape& table : tables) {
      const bool is_large = table.rows * table.width * int64_t{sizeof(T)} > kLargeTable;
      found.push_back({table.offset, table.width, table.column, is_large});
    }
    const auto kernel = kernels::kernels().of<T>().tables.lookup;
    return row_pass<T>(
        made, places, pass_cost<T>(target.cols, 0, 2), target.cols,
        [=](const Batch<T>& batch, int64_t begin, int64_t rows) {
          const auto in = from.in(batch);
          const auto out = target.out(batch);
          kernel({rows, static_cast<int64_t>(found.size()), found.data(), batch.parameters,
                  in.row(begin), in.stride, out.row(begin), out.stride});
        });
  };
  return step;
}

template <class T>
Step<T> table_gradient_step(const Builder<T>& builder, ValueId codes,
                            const std::vector<TableShape>& tables, ValueId gradient) {
  Step<T> step(Zone::kTableGradient, Zone::kBackward, builder.node(), {codes, gradient}, {});
  step.parameters_written = offsets_of(tables);
  step.by_tiles = true;
  step.make = [=, capacity = builder.options().capacity](const Step<T>& made,
                                                         const Places<T>& places) {
    return std::make_unique<TableGradient<T>>(made, places, places.of(codes), places.of(gradient),
                                              tables, capacity);
  };
  return step;
}

#define GD_INSTANTIATE(T)                                                                          \
  template Step<T> lookup_step(const Builder<T>&, ValueId, const std::vector<TableShape>&,         \
                               ValueId);                                                           \
  template Step<T> table_gradient_step(const Builder<T>&, ValueId, const std::vector<TableShape>&, \
                                       ValueId);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::plan

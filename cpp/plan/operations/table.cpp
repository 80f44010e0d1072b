#include "plan/operations/table.hpp"

#include "kernels/dispatch.hpp"
#include "plan/operations/table_gradient.hpp"

namespace gd::plan {

std::vector<TableTile> table_tiles(const std::vector<TableShape>& tables, int64_t entries,
                                   int workers) {
  const int64_t elements = std::max<int64_t>(1 << 16, 32 * entries);
  const auto count = static_cast<int64_t>(tables.size());
  std::vector<TableTile> tiles;
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

namespace {

// A code in a column of a value for each table.
template <class T>
struct Codes {
  using Entry = kernels::TableEntry;

  size_t collect(const Batch<T>& batch, const TableTile& tile, bool is_whole, Entry* to) const {
    const auto from = codes.in(batch);
    const T* at = from.data + tile.table;
    size_t count = 0;
    for (int64_t i = 0; i < from.rows; ++i, at += from.stride) {
      const int64_t code = static_cast<int64_t>(*at) - tile.begin;
      to[count] = {static_cast<uint32_t>(code), static_cast<uint32_t>(i)};
      count += is_whole || (code >= 0 && code < tile.end - tile.begin) ? 1 : 0;
    }
    return count;
  }

  Rows<T> codes;
  void (*sum)(const kernels::EntrySum<T>&);
};

std::vector<int64_t> offsets_of(const std::vector<TableShape>& tables) {
  std::vector<int64_t> offsets;
  for (const TableShape& table : tables) offsets.push_back(table.offset);
  return offsets;
}

template <class T>
Cost gradient_cost(const std::vector<TableShape>& tables) {
  int64_t width = 0;
  for (const TableShape& table : tables) width += table.width;
  Cost cost;
  cost.flops_a_row = width;
  cost.bytes_a_row = (2 * width + static_cast<int64_t>(tables.size())) * int64_t{sizeof(T)};
  for (const TableShape& table : tables) {
    if (table.seen == nullptr) cost.bytes_fixed += table.rows * table.width * int64_t{sizeof(T)};
  }
  return cost;
}

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
    const Codes<T> source{places.of(codes), kernels::kernels().of<T>().tables.entry_sum};
    return std::make_unique<TableGradient<T, Codes<T>>>(
        made, places.max_workers, gradient_cost<T>(tables), places.of(gradient), tables, capacity,
        source);
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

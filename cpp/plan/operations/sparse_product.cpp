#include "plan/operations/sparse_product.hpp"

#include "kernels/dispatch.hpp"
#include "plan/operations/table_gradient.hpp"

namespace gd::plan {

namespace {

// The elements of sparse rows, each of which reads the row of W^T of its column.
template <class T>
struct Elements {
  using Entry = kernels::WeightedEntry<T>;

  size_t collect(const Batch<T>& batch, const TableTile& tile, bool is_whole, Entry* to) const {
    const base::SparseRows<T>& rows = batch.sparse[input];
    const auto from = numbers.in(batch);
    Entry* next = to;
    for (int64_t i = 0; i < from.rows; ++i) {
      const int64_t row = base::row_of_number(*from.row(i));
      const int32_t* at = rows.columns + rows.begins[row];
      const int32_t* end = rows.columns + rows.begins[row + 1];
      if (!is_whole) {
        at = std::lower_bound(at, end, tile.begin);
        end = std::lower_bound(at, end, tile.end);
      }
      for (; at < end; ++at) {
        *next++ = {static_cast<uint32_t>(*at - tile.begin), static_cast<uint32_t>(i),
                   rows.values[at - rows.columns]};
      }
    }
    return static_cast<size_t>(next - to);
  }

  Rows<T> numbers;
  int input;
  void (*sum)(const kernels::EntrySum<T, Entry>&);
};

// Of as many elements a row as the plan was told, or of one.
template <class T>
Cost sparse_cost(const Builder<T>& builder, const DenseShape& shape) {
  const int64_t elements = std::max<int64_t>(1, builder.options().elements_a_row);
  Cost cost;
  cost.flops_a_row = 2 * elements * shape.units;
  cost.bytes_a_row = (elements + 1) * shape.units * int64_t{sizeof(T)};
  return cost;
}

}  // namespace

template <class T>
Step<T> sparse_forward_step(const Builder<T>& builder, const DenseShape& shape, ValueId z) {
  const ValueId x = builder.input();
  const int input = builder.sparse_input();
  const Cost cost = sparse_cost(builder, shape);
  Step<T> step(Zone::kDenseForward, Zone::kForward, builder.node(), {x}, {z});
  step.parameters_read = {shape.weight};
  if (shape.bias >= 0) step.parameters_read.push_back(shape.bias);
  step.result = z;
  step.make = [=](const Step<T>& made, const Places<T>& places) {
    const Rows<T> numbers = places.of(x), target = places.of(z);
    const auto kernel = kernels::kernels().of<T>().tables.sparse_row;
    const int64_t grain = cost.flops_a_row / 2;  // that many columns' worth of work
    return row_pass<T>(made, places, cost, grain,
                       [=](const Batch<T>& batch, int64_t begin, int64_t count) {
                         const base::SparseRows<T>& rows = batch.sparse[input];
                         const auto from = numbers.in(batch);
                         const auto out = target.out(batch);
                         kernels::SparseRow<T> p{};
                         p.units = shape.units;
                         p.weight = batch.parameters + shape.weight;
                         p.bias = shape.bias < 0 ? nullptr : batch.parameters + shape.bias;
                         for (int64_t i = begin; i < begin + count; ++i) {
                           const int64_t row = base::row_of_number(*from.row(i));
                           const int64_t first = rows.begins[row];
                           p.count = rows.begins[row + 1] - first;
                           p.columns = rows.columns + first;
                           p.values = rows.values + first;
                           p.y = out.row(i);
                           kernel(p);
                         }
                       });
  };
  return step;
}

template <class T>
Step<T> sparse_gradient_step(const Builder<T>& builder, const DenseShape& shape, ValueId delta) {
  const ValueId x = builder.input();
  const int input = builder.sparse_input();
  const TableShape table{shape.weight, shape.inputs, shape.units, 0,
                         builder.network().seen_rows(*builder.parameter("weight"))};
  Cost cost = sparse_cost(builder, shape);
  if (table.seen == nullptr) {
    cost.bytes_fixed = shape.inputs * shape.units * int64_t{sizeof(T)};
  }
  Step<T> step(Zone::kWeightGradient, Zone::kBackward, builder.node(), {x, delta}, {});
  step.parameters_written = {shape.weight};
  step.by_tiles = true;
  step.make = [=, most = builder.options().elements](const Step<T>& made, const Places<T>& places) {
    const Elements<T> source{places.of(x), input, kernels::kernels().of<T>().tables.weighted_sum};
    return std::make_unique<TableGradient<T, Elements<T>>>(
        made, places.max_workers, cost, places.of(delta), std::vector{table}, most, source);
  };
  return step;
}

#define GD_INSTANTIATE(T)                                                              \
  template Step<T> sparse_forward_step(const Builder<T>&, const DenseShape&, ValueId); \
  template Step<T> sparse_gradient_step(const Builder<T>&, const DenseShape&, ValueId);
GD_INSTANTIATE(float)
GD_INSTANTIATE(double)
#undef GD_INSTANTIATE

}  // namespace gd::plan

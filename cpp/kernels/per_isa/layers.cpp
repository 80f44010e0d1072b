#include GD_VEC_HPP

#include "kernels/columns-inl.hpp"
#include "kernels/dropout-inl.hpp"
#include "kernels/norm-inl.hpp"
#include "kernels/per_isa/isa.hpp"
#include "kernels/periodic-inl.hpp"
#include "kernels/pointwise-inl.hpp"
#include "kernels/tables-inl.hpp"

namespace gd::kernels {
namespace {

template <class T>
void fill(TypedKernels<T>& kernels) {
  using V = Vec<T>;
  LayerKernels<T>& layers = kernels.layers;
  layers.norm_forward = norm_forward<V>;
  layers.norm_backward = norm_backward<V>;
  layers.column_moments = column_moments<V>;
  layers.column_norm = column_norm<V>;
  layers.column_slopes = column_slopes<V>;
  layers.column_gradient = column_gradient<V>;
  layers.dropout = dropout<V>;
  layers.add = add_rows<V>;
  layers.scale = scale_rows<V>;
  layers.keep = keep_rows<V>;
  layers.periodic_forward = periodic_forward<V>;
  layers.periodic_backward = periodic_backward<V>;
  kernels.tables = {lookup<V>, entry_sum<V, TableEntry>, entry_sum<V, WeightedEntry<T>>,
                    sparse_row<V>};
}

}  // namespace

void GD_ISA::fill_layers(KernelTable& table) {
  fill(table.f32);
  fill(table.f64);
}

}  // namespace gd::kernels

#include GD_VEC_HPP

#include "kernels/dropout-inl.hpp"
#include "kernels/norm-inl.hpp"
#include "kernels/per_isa/isa.hpp"
#include "kernels/tables-inl.hpp"

namespace gd::kernels {
namespace {

template <class T>
void fill(TypedKernels<T>& kernels) {
  using V = Vec<T>;
  kernels.layers = {norm_forward<V>, norm_backward<V>, dropout<T>};
  kernels.tables = {lookup<V>, entry_sum<V>};
}

}  // namespace

void GD_ISA::fill_layers(KernelTable& table) {
  fill(table.f32);
  fill(table.f64);
}

}  // namespace gd::kernels

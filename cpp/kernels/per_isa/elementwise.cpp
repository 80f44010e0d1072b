#include "kernels/elementwise-inl.hpp"

#include GD_VEC_HPP
#include "kernels/per_isa/isa.hpp"

namespace gd::kernels {
namespace {

template <class T>
void fill(TypedKernels<T>& kernels) {
  using V = Vec<T>;
  int i = 0;
#define GD_FILL(formula) kernels.activations[i++] = activation_kernel<V, formulas::formula>();
  GD_ACTIVATIONS(GD_FILL)
#undef GD_FILL
  i = 0;
#define GD_FILL(formula) kernels.losses[i++] = loss_kernel<V, formulas::formula>();
  GD_LOSSES(GD_FILL)
#undef GD_FILL
  kernels.reduce = reduce_kernels<V>();
  kernels.scale = scale<V>;
}

}  // namespace

void GD_ISA::fill_elementwise(KernelTable& table) {
  fill(table.f32);
  fill(table.f64);
}

}  // namespace gd::kernels

// Apart from elementwise.cpp: in one unit with so much more, the compiler inlines less of that.

#include "kernels/tangents-inl.hpp"

#include GD_VEC_HPP
#include "kernels/per_isa/isa.hpp"

namespace gd::kernels {
namespace {

template <class T>
void fill(TypedKernels<T>& kernels) {
  using V = Vec<T>;
  int i = 0;
#define GD_FILL(formula) add_tangents<V, formulas::formula>(kernels.activations[i++]);
  GD_ACTIVATIONS(GD_FILL)
#undef GD_FILL
}

}  // namespace

void GD_ISA::fill_tangents(KernelTable& table) {
  fill(table.f32);
  fill(table.f64);
}

}  // namespace gd::kernels

#include "kernels/rules-inl.hpp"

#include GD_VEC_HPP
#include "kernels/per_isa/isa.hpp"

namespace gd::kernels {
namespace {

template <class T>
void fill(TypedKernels<T>& kernels) {
  int i = 0;
#define GD_FILL(formula) kernels.rules[i++] = rule_kernel<Vec<T>, formulas::formula>();
  GD_RULES(GD_FILL)
#undef GD_FILL
}

}  // namespace

void GD_ISA::fill_rules(KernelTable& table) {
  fill(table.f32);
  fill(table.f64);
}

}  // namespace gd::kernels

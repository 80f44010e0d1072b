#include "kernels/float_mode.hpp"
#include "kernels/per_isa/isa.hpp"

#define GD_TEXT_OF(name) #name
#define GD_TEXT(name) GD_TEXT_OF(name)

namespace gd::kernels::GD_ISA {

namespace {

KernelTable make() {
  KernelTable table{};
  table.isa = GD_TEXT(GD_ISA);
  table.enter = enter_float_mode;
  table.leave = leave_float_mode;
  fill_gemm(table);
  fill_elementwise(table);
  fill_tangents(table);
  fill_rules(table);
  fill_layers(table);
  return table;
}

}  // namespace

const KernelTable& table() {
  static const KernelTable made = make();
  return made;
}

}  // namespace gd::kernels::GD_ISA

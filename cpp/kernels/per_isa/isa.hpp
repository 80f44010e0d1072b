#pragma once

// The parts of one instruction set's table; GD_ISA is its name and namespace.

#include "kernels/table.hpp"

namespace gd::kernels::GD_ISA {

void fill_gemm(KernelTable& table);
void fill_elementwise(KernelTable& table);
void fill_tangents(KernelTable& table);  // after fill_elementwise
void fill_rules(KernelTable& table);
void fill_layers(KernelTable& table);

const KernelTable& table();

}  // namespace gd::kernels::GD_ISA

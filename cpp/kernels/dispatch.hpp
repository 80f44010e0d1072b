#pragma once

#include <string>
#include <vector>

#include "kernels/table.hpp"

namespace gd::kernels {

// The table of the best instruction set this machine has, capped by GDCORE_MAX_ISA; chosen at the
// first call. An unknown name in GDCORE_MAX_ISA is a ValueError.
const KernelTable& kernels();

// The table of one instruction set, or null where the machine lacks it.
const KernelTable* table_of(const std::string& isa);

std::vector<std::string> available_isas();  // slowest first
std::string isa_cap();                      // GDCORE_MAX_ISA, empty when unset

// Indices into a table; an unknown name is a ValueError.
int activation_index(const std::string& name);
int loss_index(const std::string& name);
int rule_index(const std::string& name);

}  // namespace gd::kernels

#include "kernels/dispatch.hpp"

#include <cstdlib>

#include "base/check.hpp"
#include "kernels/bf16_units.hpp"
#include "kernels/cpu_features.hpp"

namespace gd::kernels {

// Each is defined by per_isa/table.cpp, compiled with that instruction set's flags; those of
// bf16_units.hpp build upon avx512.
namespace scalar {
const KernelTable& table();
}
namespace avx2 {
const KernelTable& table();
}
namespace neon {
const KernelTable& table();
}

namespace {

struct Candidate {
  const char* name;
  const KernelTable& (*table)();
  bool (*runs_here)();
};

// Slowest first: a cap keeps everything up to its own line.
const Candidate kCandidates[] = {
    {"scalar", scalar::table, [] { return true; }},
#if defined(GDCORE_SCALAR_ONLY)
#elif defined(__x86_64__)
    {"avx2", avx2::table, has_avx2_fma},
    {"avx512", avx512::table, has_avx512},
    {"avx512_bf16", avx512_bf16::table, has_avx512_bf16},
    {"amx", amx::table, has_amx_bf16},
#elif defined(__aarch64__)
    {"neon", neon::table, [] { return true; }},
#endif
};

const KernelTable& choose() {
  const std::string cap = isa_cap();
  const Candidate* best = nullptr;
  bool cap_known = cap.empty();
  std::string names;
  for (const Candidate& candidate : kCandidates) {
    names += (names.empty() ? "" : ", ") + std::string(candidate.name);
    const bool beyond_cap = !cap.empty() && cap_known;
    cap_known = cap_known || cap == candidate.name;
    if (!beyond_cap && candidate.runs_here()) best = &candidate;
  }
  base::require<base::ValueError>(cap_known, "GDCORE_MAX_ISA is '", cap,
                                  "', expected one of: ", names);
  return best->table();
}

template <size_t Size>
int index_of(const std::string& name, const char* const (&names)[Size], const char* what) {
  for (size_t i = 0; i < Size; ++i) {
    if (name == names[i]) return static_cast<int>(i);
  }
  std::string all;
  for (const char* known : names) all += (all.empty() ? "" : ", ") + std::string(known);
  throw base::ValueError(base::message("unknown ", what, " '", name, "', expected one of: ", all));
}

#define GD_NAME(name) #name,
constexpr const char* kActivationNames[] = {GD_ACTIVATIONS(GD_NAME)};
constexpr const char* kLossNames[] = {GD_LOSSES(GD_NAME)};
constexpr const char* kRuleNames[] = {GD_RULES(GD_NAME)};
#undef GD_NAME

}  // namespace

const KernelTable& kernels() {
  static const KernelTable& chosen = choose();
  return chosen;
}

const KernelTable* table_of(const std::string& isa) {
  for (const Candidate& candidate : kCandidates) {
    if (isa == candidate.name) return candidate.runs_here() ? &candidate.table() : nullptr;
  }
  return nullptr;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Candidate& candidate : kCandidates) {
    if (candidate.runs_here()) names.emplace_back(candidate.name);
  }
  return names;
}

std::string isa_cap() {
  const char* value = std::getenv("GDCORE_MAX_ISA");
  return value == nullptr ? "" : value;
}

int activation_index(const std::string& name) {
  return index_of(name, kActivationNames, "activation");
}
int loss_index(const std::string& name) { return index_of(name, kLossNames, "loss"); }
int rule_index(const std::string& name) { return index_of(name, kRuleNames, "update rule"); }

}  // namespace gd::kernels

#include "kernels/dispatch.hpp"

#include <algorithm>
#include <cstdlib>

#include "base/check.hpp"
#include "cpp/kernels/support.hpp"
#include "kernels/cpu_features.hpp"

using namespace gd::kernels;
using gd::base::ValueError;

TEST(scalar_is_always_there_and_first) {
  const auto isas = available_isas();
  CHECK(!isas.empty());
  CHECK_EQ(isas.front(), "scalar");
  for (const std::string& isa : isas) {
    CHECK(table_of(isa) != nullptr);
    CHECK_EQ(std::string(table_of(isa)->isa), isa);
  }
  CHECK(table_of("abacus") == nullptr);
  CHECK(table_of("") == nullptr);
}

TEST(tables_offered_are_those_the_processor_runs) {
  const auto isas = available_isas();
  const auto offered = [&](const char* isa) {
    return std::find(isas.begin(), isas.end(), isa) != isas.end();
  };
#if defined(GDCORE_SCALAR_ONLY)
  constexpr bool compiled = false;
#else
  constexpr bool compiled = true;
#endif
  CHECK_EQ(offered("avx2"), compiled && has_avx2_fma());
  CHECK_EQ(offered("avx512"), compiled && has_avx512());
  CHECK_EQ(offered("avx512_bf16"), compiled && has_avx512_bf16());
  CHECK_EQ(offered("amx"), compiled && has_amx_bf16());
  const auto features = cpu_features();
  const auto has = [&](const char* feature) {
    return std::find(features.begin(), features.end(), feature) != features.end();
  };
  CHECK_EQ(has_avx2_fma(), has("avx2") && has("fma"));
#if defined(__aarch64__)
  CHECK_EQ(offered("neon"), compiled);
  CHECK(has("neon"));
#endif
}

// What has a unit for bfloat16 is AVX-512 in everything else, not compiled anew.
TEST(units_for_bfloat16_come_on_top_of_avx512) {
  for (const std::string& isa : available_isas()) {
    const KernelTable& table = *table_of(isa);
    const bool has_unit = isa == "avx512_bf16" || isa == "amx";
    CHECK_AT((table.bf16 != nullptr) == has_unit, isa);
    if (!has_unit) continue;
    const KernelTable& avx512 = *table_of("avx512");
    CHECK_EQ(std::string(table.bf16->unit), isa);
    CHECK_AT(table.f32.gemm == avx512.f32.gemm && table.f64.pack == avx512.f64.pack, isa);
  }
}

TEST(formulas_stand_in_every_table_under_the_same_index) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& kernels,
                                           const TypedKernels<T>& scalar) {
    for (int i = 0; i < kActivations; ++i) {
      const auto& activation = kernels.activations[i];
      CHECK_AT(activation_index(activation.name) == i, isa);
      CHECK_AT(std::string(activation.name) == scalar.activations[i].name, isa);
      CHECK_AT(activation.from_output == scalar.activations[i].from_output, isa);
      CHECK_AT(activation.row_wise == scalar.activations[i].row_wise, isa);
    }
    for (int i = 0; i < kLosses; ++i) CHECK_AT(loss_index(kernels.losses[i].name) == i, isa);
    for (int i = 0; i < kRules; ++i) CHECK_AT(rule_index(kernels.rules[i].name) == i, isa);
  });
}

TEST(unknown_names_are_errors_that_list_the_known) {
  CHECK_THROWS(ValueError, activation_index("rellu"));
  CHECK_THROWS(ValueError, loss_index("mes"));
  CHECK_THROWS(ValueError, rule_index(""));
  std::string said;
  try {
    activation_index("rellu");
  } catch (const ValueError& error) {
    said = error.what();
  }
  CHECK(said.find("'rellu'") != std::string::npos);
  CHECK(said.find("leaky_relu") != std::string::npos);
}

// The table is chosen at the first call of the process, which this is: nothing else here calls it.
TEST(the_cap_is_obeyed_and_an_unknown_one_refused) {
  const char* before = std::getenv("GDCORE_MAX_ISA");
  const std::string kept = before == nullptr ? "" : before;
  setenv("GDCORE_MAX_ISA", "abacus", 1);
  CHECK_EQ(isa_cap(), "abacus");
  CHECK_THROWS(ValueError, kernels());
  setenv("GDCORE_MAX_ISA", "scalar", 1);
  CHECK_EQ(std::string(kernels().isa), "scalar");
  unsetenv("GDCORE_MAX_ISA");
  CHECK_EQ(isa_cap(), "");
  CHECK_EQ(std::string(kernels().isa), "scalar");  // chosen once
  if (before != nullptr) setenv("GDCORE_MAX_ISA", kept.c_str(), 1);
}

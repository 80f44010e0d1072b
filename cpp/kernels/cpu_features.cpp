#include "kernels/cpu_features.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace gd::kernels {

#if defined(__x86_64__)

bool has_avx2_fma() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool has_avx512() {
  return has_avx2_fma() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> found;
  if (__builtin_cpu_supports("avx2")) found.emplace_back("avx2");
  if (__builtin_cpu_supports("fma")) found.emplace_back("fma");
  if (__builtin_cpu_supports("avx512f")) found.emplace_back("avx512f");
  if (__builtin_cpu_supports("avx512bw")) found.emplace_back("avx512bw");
  if (__builtin_cpu_supports("avx512dq")) found.emplace_back("avx512dq");
  if (__builtin_cpu_supports("avx512vl")) found.emplace_back("avx512vl");
  if (has_avx512()) {  // leaf 7: the tile and bfloat16 units, which no builtin names everywhere
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
      if (d & (1u << 24)) found.emplace_back("amx_tile");
      if (d & (1u << 22)) found.emplace_back("amx_bf16");
    }
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5))) {
      found.emplace_back("avx512_bf16");
    }
  }
  return found;
}

#else

bool has_avx2_fma() { return false; }
bool has_avx512() { return false; }

std::vector<std::string> cpu_features() {
#if defined(__aarch64__)
  return {"neon"};
#else
  return {};
#endif
}

#endif

}  // namespace gd::kernels

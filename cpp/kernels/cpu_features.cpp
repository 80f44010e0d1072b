#include "kernels/cpu_features.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace gd::kernels {

#if defined(__x86_64__)

namespace {

struct Cpuid {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
};

// The tile and bfloat16 units, which no builtin names everywhere.
Cpuid cpuid7(unsigned subleaf) {
  Cpuid r;
  if (!__get_cpuid_count(7, subleaf, &r.a, &r.b, &r.c, &r.d)) return {};
  return r;
}

bool cpu_has_avx512_bf16() { return (cpuid7(1).a & (1u << 5)) != 0; }
bool cpu_has_amx_tile() { return (cpuid7(0).d & (1u << 24)) != 0; }
bool cpu_has_amx_bf16() { return (cpuid7(0).d & (1u << 22)) != 0; }

// Whether the operating system saves the tiles and lets us use them.
bool may_use_tiles() {
#if defined(__linux__)
  constexpr unsigned kTileState = 3u << 17;  // configuration and data
  constexpr int kRequestPermission = 0x1023;
  constexpr int kTileData = 18;
  unsigned low = 0;
  unsigned high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & kTileState) == kTileState &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

bool has_avx2_fma() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool has_avx512() {
  return has_avx2_fma() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

bool has_avx512_bf16() { return has_avx512() && cpu_has_avx512_bf16(); }

bool has_amx_bf16() {
  // Packing and sums are AVX-512's.
  static const bool has =
      has_avx512_bf16() && cpu_has_amx_tile() && cpu_has_amx_bf16() && may_use_tiles();
  return has;
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> found;
  if (__builtin_cpu_supports("avx2")) found.emplace_back("avx2");
  if (__builtin_cpu_supports("fma")) found.emplace_back("fma");
  if (__builtin_cpu_supports("avx512f")) found.emplace_back("avx512f");
  if (__builtin_cpu_supports("avx512bw")) found.emplace_back("avx512bw");
  if (__builtin_cpu_supports("avx512dq")) found.emplace_back("avx512dq");
  if (__builtin_cpu_supports("avx512vl")) found.emplace_back("avx512vl");
  if (has_avx512()) {
    if (cpu_has_amx_tile()) found.emplace_back("amx_tile");
    if (cpu_has_amx_bf16()) found.emplace_back("amx_bf16");
    if (cpu_has_avx512_bf16()) found.emplace_back("avx512_bf16");
  }
  return found;
}

#else

bool has_avx2_fma() { return false; }
bool has_avx512() { return false; }
bool has_avx512_bf16() { return false; }
bool has_amx_bf16() { return false; }

std::vector<std::string> cpu_features() {
#if defined(__aarch64__)
  return {"neon"};
#else
  return {};
#endif
}

#endif

}  // namespace gd::kernels

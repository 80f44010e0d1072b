#include "kernels/amx/gemm-inl.hpp"
#include "kernels/amx/tiles.hpp"
#include "kernels/avx512/blocks.hpp"
#include "kernels/avx512_bf16/pack.hpp"
#include "kernels/bf16_units.hpp"

namespace gd::kernels {
namespace {

// A block of A takes half of a 2 MB L2. A cut of B's panel stays in L1 while A's pass by, and the
// sums between cuts in L2: what costs most is to load and store C, which comes from beyond, and a
// deep block does so seldom.
constexpr Bf16Kernels kUnit = {
    "amx",
    {kPanelWidth, kPanelWidth, 256, 2048, 1024, 256},
    kDepthStep,
    3,
    pack_bf16<Bf16Order::runs, kPanelWidth, kDepthStep>,
    pack_bf16<Bf16Order::pairs, kPanelWidth, kDepthStep>,
    gemm_on_tiles<HardwareTiles, Vec<float>>,
    tiles_peak<HardwareTiles>,
    enter_tiles<HardwareTiles>,
    leave_tiles<HardwareTiles>,
};

KernelTable make() {
  KernelTable table = avx512::table();
  table.isa = "amx";
  table.bf16 = &kUnit;
  return table;
}

}  // namespace

const Bf16Kernels& amx::unit() { return kUnit; }

const KernelTable& amx::table() {
  static const KernelTable made = make();
  return made;
}

}  // namespace gd::kernels

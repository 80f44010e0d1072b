#include "kernels/amx/gemm-inl.hpp"
#include "kernels/amx/tiles.hpp"
#include "kernels/avx512/blocks.hpp"
#include "kernels/avx512_bf16/pack.hpp"
#include "kernels/bf16_units.hpp"
#include "kernels/float_mode.hpp"

namespace gd::kernels {
namespace {

constexpr uint64_t kTilesEntered = uint64_t{1} << 32;  // above the floating-point mode's bits

uint64_t enter() { return enter_float_mode() | (enter_tiles<HardwareTiles>() ? kTilesEntered : 0); }

void leave(uint64_t state) {
  leave_tiles<HardwareTiles>((state & kTilesEntered) != 0);
  leave_float_mode(state & ~kTilesEntered);
}

// A panel of B and the passing one of A, 32 KB each, share L1; a block of A takes a quarter of a
// 2 MB L2, with its low parts half.
constexpr Bf16Kernels kUnit = {
    "amx",
    {kPanelWidth, kPanelWidth, 512, 512, 1024},
    kDepthStep,
    3,
    pack_bf16<Bf16Order::runs, kPanelWidth, kDepthStep>,
    pack_bf16<Bf16Order::pairs, kPanelWidth, kDepthStep>,
    gemm_on_tiles<HardwareTiles, Vec<float>>,
    tiles_peak<HardwareTiles>,
};
static_assert(kUnit.blocks.mc >= most_shared_rows(Blocks<float>::mc, kUnit.blocks.mr));

KernelTable make() {
  KernelTable table = avx512::table();
  table.isa = "amx";
  table.enter = enter;
  table.leave = leave;
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

#include "kernels/gemm-inl.hpp"

#include GD_BLOCKS_HPP
#include GD_VEC_HPP
#include "kernels/pack-inl.hpp"
#include "kernels/peak-inl.hpp"
#include "kernels/per_isa/isa.hpp"

namespace gd::kernels {
namespace {

template <class T>
void fill(TypedKernels<T>& kernels) {
  using B = Blocks<T>;
  using V = Vec<T>;
  kernels.blocks = {B::rows, B::vectors * V::width, B::mc, B::kc, B::nc, B::kc};
  kernels.gemm = gemm_columns<V, B::rows, B::vectors>;
  kernels.pack = pack<V>;
  kernels.fma_peak = fma_peak<V>;
}

}  // namespace

void GD_ISA::fill_gemm(KernelTable& table) {
  fill(table.f32);
  fill(table.f64);
}

}  // namespace gd::kernels

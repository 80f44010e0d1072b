#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = z s(z) with s the sigmoid; f' = s (1 + z (1 - s))
struct silu {
  static constexpr const char* name = "silu";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = false;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    return V::mul(z, kernels::sigmoid(z));
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar*) {
    const V one = V::set1(1);
    const V s = kernels::sigmoid(z);
    return V::mul(g, V::mul(s, V::fma(z, V::sub(one, s), one)));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

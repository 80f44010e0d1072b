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

  // s (1 - s) (2 + z (1 - 2 s)); beyond 700 s (1 - s) is 0, and z must not be infinite beside it.
  template <class V>
  static V second(V z, const typename V::scalar*) {
    const V one = V::set1(1);
    const V s = kernels::sigmoid(z), rest = V::sub(one, s);
    const V near = V::max(V::set1(-700), V::min(V::set1(700), z));
    return V::mul(V::mul(s, rest), V::fma(near, V::sub(rest, s), V::set1(2)));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

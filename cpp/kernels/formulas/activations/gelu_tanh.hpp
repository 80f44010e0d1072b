#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = z (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (z + 0.044715 z^3): the tanh form of GELU. The
// factor of z is the sigmoid of 2 u, which keeps its digits where tanh(u) is near -1.
struct gelu_tanh {
  static constexpr const char* name = "gelu_tanh";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = false;

  template <class V>
  static V share(V z) {
    constexpr auto cubic = static_cast<typename V::scalar>(0.044715);
    const V z3 = V::mul(V::mul(z, z), z);
    return kernels::sigmoid(V::mul(V::set1(slope<V>), V::fma(V::set1(cubic), z3, z)));
  }

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    return V::mul(z, share(z));
  }

  // f' = s + z s (1 - s) 2 u', with 2 u' = 2 sqrt(2 / pi) (1 + 3 * 0.044715 z^2)
  template <class V>
  static V backward(V z, V g, const typename V::scalar*) {
    constexpr auto curve = static_cast<typename V::scalar>(slope<V> * 3 * 0.044715);
    const V s = share(z);
    // Beyond 30 s is 0 or 1, and z^3 must not become infinite beside it.
    const V near = V::max(V::set1(-30), V::min(V::set1(30), z));
    const V steep = V::mul(V::fma(V::set1(curve), V::mul(near, near), V::set1(slope<V>)), near);
    return V::mul(g, V::mul(s, V::fma(V::sub(V::set1(1), s), steep, V::set1(1))));
  }

  // s (1 - s) (2 v' + z (v'' + (1 - 2 s) v'^2)) with v = 2 u, v'' = 6 * 2 sqrt(2 / pi) 0.044715 z.
  template <class V>
  static V second(V z, const typename V::scalar*) {
    constexpr auto curve = static_cast<typename V::scalar>(slope<V> * 3 * 0.044715);
    const V s = share(z), rest = V::sub(V::set1(1), s);
    const V near = V::max(V::set1(-30), V::min(V::set1(30), z));
    const V steep = V::fma(V::set1(curve), V::mul(near, near), V::set1(slope<V>));
    const V bend = V::mul(V::set1(2 * curve), near);
    const V turn = V::fma(V::sub(rest, s), V::mul(steep, steep), bend);
    return V::mul(V::mul(s, rest), V::fma(near, turn, V::add(steep, steep)));
  }

 private:
  // 2 sqrt(2 / pi)
  template <class V>
  static constexpr auto slope = static_cast<typename V::scalar>(1.59576912160573071176);
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = z - tanh(z), f' = tanh(z)^2. Up to 1 it is z^3 p(z^2), as the difference would lose its
// digits; beyond, as 1 - tanh |z| = 2 s(-2 |z|) with s the sigmoid, (|z| - 1) + 2 s(-2 |z|):
// nothing cancels.
struct tanhshrink {
  static constexpr const char* name = "tanhshrink";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = false;

  // The coefficients: docs/design/fit_polynomials.py.
  template <class V>
  static V forward(V z, const typename V::scalar*) {
    const V one = V::set1(1), x = V::abs(z);
    const V s = kernels::sigmoid_of_negative(V::mul(V::set1(-2), x));
    const V far = V::copysign(V::add(V::sub(x, one), V::add(s, s)), z);
    const V x2 = V::mul(z, z), x4 = V::mul(x2, x2);
    V p;
    if constexpr (kSinglePrecision<V>) {
      p = polynomial(x2, x4, 0.33333334f, -0.13333413f, 0.053978547f, -0.021915186f, 0.008931666f,
                     -0.0035374656f, 0.0011568744f, -0.00020781126f);
    } else {
      p = polynomial(x2, x4, 0.3333333333333333, -0.13333333333332467, 0.05396825396757858,
                     -0.02186948851527237, 0.008863235189777654, -0.0035921246756308507,
                     0.001455812502043527, -0.0005899284869822931, 0.00023880756562153255,
                     -9.614732674111267e-05, 3.7910315884022134e-05, -1.4086333562584884e-05,
                     4.595312017698648e-06, -1.1832500794643662e-06, 2.0517443433099866e-07,
                     -1.7394862202407612e-08);
    }
    return V::select(V::gt(x, one), far, V::mul(V::mul(z, x2), p));
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar*) {
    const V t = kernels::tanh(z);
    return V::mul(g, V::mul(t, t));
  }

  template <class V>
  static V second(V z, const typename V::scalar*) {
    const V t = kernels::tanh(z);
    const V slope = V::mul(V::sub(V::set1(1), t), V::add(V::set1(1), t));
    return V::mul(V::add(t, t), slope);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

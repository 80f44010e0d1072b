#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = scale z for z > 0, scale alpha (exp(z) - 1) otherwise; there f' is a + scale alpha.
struct selu {
  static constexpr const char* name = "selu";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = true;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    const V low = V::mul(V::set1(depth<V>), kernels::expm1(V::min(V::set1(0), z)));
    return V::select(V::gt(z, V::set1(0)), V::mul(V::set1(scale<V>), z), low);
  }

  template <class V>
  static V backward(V a, V g, const typename V::scalar*) {
    const V slope =
        V::select(V::gt(a, V::set1(0)), V::set1(scale<V>), V::add(a, V::set1(depth<V>)));
    return V::mul(g, slope);
  }

  template <class V>
  static V second(V a, const typename V::scalar*) {
    return V::select(V::gt(a, V::set1(0)), V::set1(0), V::add(a, V::set1(depth<V>)));
  }

 private:
  // With alpha = 1.6732632423543772848, scale alpha = 1.7580993408473768599: the fixed point of
  // mean 0 and variance 1.
  template <class V>
  static constexpr auto scale = static_cast<typename V::scalar>(1.0507009873554804934);
  template <class V>
  static constexpr auto depth = static_cast<typename V::scalar>(1.7580993408473768599);
};

}  // namespace
}  // namespace gd::kernels::formulas

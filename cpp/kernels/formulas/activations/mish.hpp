#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels::formulas {
namespace {

// a = z w with w = tanh(log(1 + e^z)); f' = w + z (1 - w^2) s, s the sigmoid. With e = e^-|z|, w =
// n / d: all of n and d is positive, and so is 1 - w = c / d, so that nothing cancels.
struct mish {
  static constexpr const char* name = "mish";
  static constexpr const char* parameters = "";
  static constexpr bool from_output = false;

  template <class V>
  static V forward(V z, const typename V::scalar*) {
    const Parts<V> p = parts(z);
    return V::mul(z, V::div(p.n, p.d));
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar*) {
    const V one = V::set1(1);
    const Parts<V> p = parts(z);
    const V by_d = V::div(one, p.d);
    const V w = V::mul(p.n, by_d);
    const V s = V::div(p.share, V::add(one, p.e));
    const V steep = V::mul(V::mul(V::mul(p.c, by_d), V::add(one, w)), s);
    return V::mul(g, V::fma(z, steep, w));
  }

  // w' (2 + z (1 - s - 2 w s)) with w' = (1 - w^2) s, which is 0 beyond 700.
  template <class V>
  static V second(V z, const typename V::scalar*) {
    const V one = V::set1(1);
    const V near = V::max(V::set1(-700), V::min(V::set1(700), z));
    const Parts<V> p = parts(near);
    const V by_d = V::div(one, p.d);
    const V w = V::mul(p.n, by_d);
    const V s = V::div(p.share, V::add(one, p.e));
    const V steep = V::mul(V::mul(V::mul(p.c, by_d), V::add(one, w)), s);
    const V turn = V::sub(V::sub(one, s), V::mul(V::add(w, w), s));
    return V::mul(steep, V::fma(near, turn, V::set1(2)));
  }

 private:
  template <class V>
  struct Parts {
    V e, n, d, c, share;
  };

  // z < 0: w = (e^2 + 2 e) / (e^2 + 2 e + 2), s = e / (1 + e); else (1 + 2 e) / (1 + 2 e + 2 e^2)
  // and 1 / (1 + e).
  template <class V>
  static Parts<V> parts(V z) {
    const V zero = V::set1(0), one = V::set1(1), two = V::set1(2);
    const V e = kernels::exp(V::sub(zero, V::abs(z)));
    const auto below = V::lt(z, zero);
    const V n = V::select(below, V::mul(e, V::add(e, two)), V::fma(two, e, one));
    const V c = V::select(below, two, V::mul(two, V::mul(e, e)));
    return {e, n, V::add(n, c), c, V::select(below, e, one)};
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

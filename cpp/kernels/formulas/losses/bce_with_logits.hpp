#pragma once

#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// -t log s(y) - (1 - t) log(1 - s(y)), s the sigmoid. With u = 1 - t for y > 0 and t otherwise, the
// target seen from the nearer end, it is |y| u + log(1 + exp(-|y|)), and the derivative s(y) - t is
// s(-|y|) - u, or that negated: nothing cancels that is not the difference of s and t itself.
// Weighted, t is w t and counts so in the sum t + (1 - t) too: (a + b) log(1 + exp(-|y|)) + |y| u
// with a = w t, b = 1 - t and u = b for y > 0 and a otherwise.
struct bce_with_logits {
  static constexpr const char* name = "bce_with_logits";
  static constexpr const char* parameters = "";
  static constexpr const char* array = "pos_weight";
  static constexpr Targets targets = Targets::unit;

  template <class V>
  static V loss(V y, V t, const typename V::scalar*) {
    const V rest = kernels::log1p(kernels::exp(minus_abs(y)));
    return V::fma(V::abs(y), from_nearer_end(y, t), rest);
  }

  template <class V>
  static V gradient(V y, V t, const typename V::scalar*) {
    const V zero = V::set1(0);
    const V g = V::sub(kernels::sigmoid_of_negative(minus_abs(y)), from_nearer_end(y, t));
    return V::select(V::gt(y, zero), V::sub(zero, g), g);
  }

  template <class V>
  static V loss(V y, V t, V w, const typename V::scalar*) {
    const V a = V::mul(w, t), b = V::sub(V::set1(1), t);
    const V rest = V::mul(V::add(a, b), kernels::log1p(kernels::exp(minus_abs(y))));
    return V::fma(V::abs(y), V::select(V::gt(y, V::set1(0)), b, a), rest);
  }

  template <class V>
  static V gradient(V y, V t, V w, const typename V::scalar*) {
    const V zero = V::set1(0);
    const V a = V::mul(w, t), b = V::sub(V::set1(1), t);
    const V near = V::select(V::gt(y, zero), b, a);
    const V small = kernels::sigmoid_of_negative(minus_abs(y));
    const V g = V::fma(V::add(a, b), small, V::sub(zero, near));
    return V::select(V::gt(y, zero), V::sub(zero, g), g);
  }

 private:
  template <class V>
  static V minus_abs(V y) {
    return V::sub(V::set1(0), V::abs(y));
  }

  // Exact where it matters: 1 - t is for t from 1/2 on.
  template <class V>
  static V from_nearer_end(V y, V t) {
    return V::select(V::gt(y, V::set1(0)), V::sub(V::set1(1), t), t);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/math-inl.hpp"

namespace gd::kernels {
namespace {

// Whether epsilon is so small that the next function is needed: from this one on, what a v that
// counts as zero leaves out of the root, at most the root of the least number, is lost beside it in
// rounding. `scale` is of the root.
inline bool needs_least_root(double eps, double scale = 1) { return eps < 1e-12 * scale; }

// sqrt(v) of a mean of squares. Where v is denormal, and so counts as zero, the numbers g that it
// is a mean of need not be: dividing by nothing but epsilon would make a step of any length of
// them. There the root is |g| times the least share that g can have in it, and never zero.
template <class V>
[[gnu::always_inline]] inline V root_of_mean(V v, V g, V share) {
  const V least = V::set1(Constants<V>::kMinNormal);
  const V of_g = V::fma(V::abs(g), share, least);
  return V::select(V::lt(v, least), of_g, V::sqrt(v));
}

// n / (sqrt(v) scale + eps), where v is a mean of squares and n a mean of what it is of, or such:
// no longer than 1 where v is denormal and n is not. `tiny` as needs_least_root tells.
template <bool tiny, class V>
[[gnu::always_inline]] inline V over_root(V n, V v, V scale, V eps) {
  V root = V::mul(V::sqrt(v), scale);
  if constexpr (tiny) {
    const V least = V::set1(Constants<V>::kMinNormal);
    root = V::select(V::lt(v, least), V::max(V::abs(n), least), root);
  }
  return V::div(n, V::add(root, eps));
}

// -1, 0 or 1; what is not a number stays so.
template <class V>
[[gnu::always_inline]] inline V sign(V x) {
  const V zero = V::set1(0);
  return V::select(V::gt(x, zero), V::set1(1), V::select(V::lt(x, zero), V::set1(-1), x));
}

// The third root of x >= 0: a first one, and a step of Newton's from it.
template <class V>
[[gnu::always_inline]] inline V cube_root(V x) {
  const V least = V::set1(Constants<V>::kMinNormal);
  const V third = V::set1(static_cast<typename V::scalar>(1.0 / 3.0));
  const V from = V::max(x, least);
  const V y = exp(V::mul(log(from), third));
  const V better = V::fma(V::sub(V::div(from, V::mul(y, y)), y), third, y);
  return V::select(V::lt(x, least), V::set1(0), better);
}

}  // namespace
}  // namespace gd::kernels

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

}  // namespace
}  // namespace gd::kernels

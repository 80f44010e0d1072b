#pragma once

#include "base/scalar_math.hpp"
#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w;  L = (lr + eps) sqrt(t)
// s += L g,  v += L g^2;  z = x - s / (cbrt(v) + eps), where x is w before the first step
// w = z, or with momentum w = momentum w + (1 - momentum) z
// Defazio, Jelassi: "Adaptivity without compromise: a momentumized, adaptive, dual averaged
// gradient method for stochastic optimization", arXiv:2101.11075; lr + eps is as in their code. The
// third state is x - w, so that it starts from zero.
struct madgrad {
  static constexpr const char* name = "madgrad";
  static constexpr const char* parameters = "lr,momentum,weight_decay,eps";
  enum { kLr, kMomentum, kWeightDecay, kEps, kParameters };

  // Bit 0: momentum, bit 1: an epsilon that is no guard against third roots of nothing.
  static constexpr int variants = 4;
  static constexpr int states_of(int variant) { return 2 + (variant & 1); }
  static int variant(const double* h) {
    return (h[kMomentum] != 0 ? 1 : 0) + (h[kEps] < 2e-7 ? 2 : 0);
  }

  static constexpr int kKept = 1;  // the sum of all L so far
  enum { kLambda, kDecay, kShare, kEpsilon, kLeastBefore, kLeast, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* kept, double* scalars) {
    // v is no less than s^2 / sum of L: with that the third root is cbrt(|s|)^2 times this.
    const auto least = [&] { return kept[0] > 0 ? base::raise(kept[0], -1.0 / 3.0) : 0.0; };
    const double lambda =
        lr == 0 ? 0.0 : (lr + h[kEps]) * __builtin_sqrt(static_cast<double>(step));
    scalars[kLambda] = lambda;
    scalars[kDecay] = h[kWeightDecay];
    scalars[kShare] = 1.0 - h[kMomentum];
    scalars[kEpsilon] = h[kEps];
    scalars[kLeastBefore] = least();
    kept[0] += lambda;
    scalars[kLeast] = least();
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : lambda(V::set1(s[kLambda])),
          decay(V::set1(s[kDecay])),
          share(V::set1(s[kShare])),
          eps(V::set1(s[kEpsilon])),
          least_before(V::set1(s[kLeastBefore])),
          least(V::set1(s[kLeast])) {}
    V lambda, decay, share, eps, least_before, least;
  };

  // s / (cbrt(v) + eps), and nothing where that would be a division by nothing.
  template <bool tiny, class V>
  static V moved(V s, V v, V eps, V least) {
    V root = kernels::cube_root(v);
    if constexpr (tiny) {
      const V of_s = kernels::cube_root(V::abs(s));
      const auto vanished = V::lt(v, V::set1(Constants<V>::kMinNormal));
      root = V::select(vanished, V::mul(V::mul(of_s, of_s), least), root);
    }
    root = V::add(root, eps);
    const auto some = V::gt(root, V::set1(0));
    return V::select(some, V::div(s, V::select(some, root, V::set1(1))), V::set1(0));
  }

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    constexpr bool momentum = (Variant & 1) != 0;
    constexpr bool tiny = (Variant & 2) != 0;
    g = V::fma(c.decay, w, g);
    V& s = state[0];
    V& v = state[1];
    V from = V::set1(0);  // x - w
    if constexpr (momentum) from = state[2];
    if constexpr (!momentum) from = moved<tiny>(s, v, c.eps, c.least_before);
    s = V::fma(c.lambda, g, s);
    v = V::fma(V::mul(c.lambda, g), g, v);
    const V step = V::sub(from, moved<tiny>(s, v, c.eps, c.least));  // z - w
    if constexpr (!momentum) return V::add(w, step);
    const V after = V::fma(c.share, step, w);
    if constexpr (momentum) state[2] = V::add(from, V::sub(w, after));
    return after;
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

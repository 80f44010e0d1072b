#pragma once

#include "base/scalar_math.hpp"
#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w, or decoupled w -= lr weight_decay w
// mu_t = b1 (1 - 0.96^(t momentum_decay) / 2),  M_t = mu_1 ... mu_t
// m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
// w -= lr ((1 - mu_t) / (1 - M_t) g + mu_t+1 / (1 - M_t+1) m) / (sqrt(v / (1 - b2^t)) + eps)
// Dozat: "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop; as PyTorch has it.
struct nadam {
  static constexpr const char* name = "nadam";
  static constexpr const char* parameters =
      "lr,beta1,beta2,eps,weight_decay,momentum_decay,decoupled_weight_decay";
  enum { kLr, kBeta1, kBeta2, kEps, kWeightDecay, kMomentumDecay, kDecoupled, kParameters };

  static constexpr int variants = 2;  // 1: an epsilon that is no guard against roots of nothing
  static constexpr int states_of(int) { return 2; }
  static int variant(const double* h) {
    return needs_least_root(h[kEps], 1.0 / __builtin_sqrt(1.0 - h[kBeta2])) ? 1 : 0;
  }

  static constexpr int kKept = 1;  // M_t
  enum {
    kRate,
    kOfG,
    kOfM,
    kDecay,
    kShrink,
    kKeep1,
    kTake1,
    kKeep2,
    kTake2,
    kRootScale,
    kEpsilon,
    kScalars
  };
  static void prepare(const double* h, double lr, int64_t step, double* kept, double* scalars) {
    const auto momentum = [&](int64_t t) {
      return h[kBeta1] *
             (1.0 - 0.5 * base::raise(0.96, static_cast<double>(t) * h[kMomentumDecay]));
    };
    const double now = momentum(step);
    const double next = momentum(step + 1);
    kept[0] = (step == 1 ? 1.0 : kept[0]) * now;
    const bool decoupled = h[kDecoupled] != 0;
    scalars[kRate] = -lr;
    scalars[kOfG] = (1.0 - now) / (1.0 - kept[0]);
    scalars[kOfM] = next / (1.0 - kept[0] * next);
    scalars[kDecay] = decoupled ? 0.0 : h[kWeightDecay];
    scalars[kShrink] = decoupled ? 1.0 - lr * h[kWeightDecay] : 1.0;
    scalars[kKeep1] = h[kBeta1];
    scalars[kTake1] = 1.0 - h[kBeta1];
    scalars[kKeep2] = h[kBeta2];
    scalars[kTake2] = 1.0 - h[kBeta2];
    scalars[kRootScale] = 1.0 / __builtin_sqrt(1.0 - base::power(h[kBeta2], step));
    scalars[kEpsilon] = h[kEps];
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          of_g(V::set1(s[kOfG])),
          of_m(V::set1(s[kOfM])),
          decay(V::set1(s[kDecay])),
          shrink(V::set1(s[kShrink])),
          keep1(V::set1(s[kKeep1])),
          take1(V::set1(s[kTake1])),
          keep2(V::set1(s[kKeep2])),
          take2(V::set1(s[kTake2])),
          root_scale(V::set1(s[kRootScale])),
          eps(V::set1(s[kEpsilon])) {}
    V rate, of_g, of_m, decay, shrink, keep1, take1, keep2, take2, root_scale, eps;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    g = V::fma(c.decay, w, g);
    w = V::mul(w, c.shrink);
    V& m = state[0];
    V& v = state[1];
    m = V::fma(c.keep1, m, V::mul(c.take1, g));
    v = V::fma(c.keep2, v, V::mul(V::mul(c.take2, g), g));
    const V ahead = V::fma(c.of_g, g, V::mul(c.of_m, m));
    return V::fma(c.rate, kernels::over_root < Variant == 1 > (ahead, v, c.root_scale, c.eps), w);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

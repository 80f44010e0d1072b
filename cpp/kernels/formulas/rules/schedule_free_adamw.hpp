#pragma once

#include "kernels/formulas/root-inl.hpp"
#include "kernels/formulas/rules/schedule_free_sgd.hpp"

namespace gd::kernels::formulas {
namespace {

// v = b2 v + (1 - b2) g^2;  g = g / (sqrt(v / (1 - b2^t)) + eps) + weight_decay w, then as
// schedule_free_sgd with momentum b1. Defazio et al.: "The road less scheduled", NeurIPS 2024.
struct schedule_free_adamw {
  using Free = schedule_free_sgd;
  static constexpr const char* name = "schedule_free_adamw";
  static constexpr const char* parameters =
      "lr,beta1,beta2,eps,weight_decay,warmup_steps,r,weight_lr_power";
  enum { kLr, kBeta1, kBeta2, kEps, kWeightDecay, kWarmup, kR, kPower, kParameters };

  static constexpr int variants = 2;  // 1: an epsilon that is no guard against roots of nothing
  static constexpr int states_of(int) { return 2; }
  static int variant(const double* h) {
    return needs_least_root(h[kEps], 1.0 / __builtin_sqrt(1.0 - h[kBeta2])) ? 1 : 0;
  }
  static double evaluation(const double* h) { return Free::share_of_z(h[kBeta1]); }

  static constexpr int kKept = Free::kKept;
  enum { kKeep = Free::kScalars, kTake, kRootScale, kEpsilon, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* kept, double* scalars) {
    scalars[Free::kDecay] = h[kWeightDecay];
    Free::average(h + kWarmup, lr, h[kBeta1], step, kept, scalars);
    scalars[kKeep] = h[kBeta2];
    scalars[kTake] = 1.0 - h[kBeta2];
    scalars[kRootScale] = 1.0 / __builtin_sqrt(1.0 - base::power(h[kBeta2], step));
    scalars[kEpsilon] = h[kEps];
  }

  template <class V>
  struct Scalars : Free::Scalars<V> {
    explicit Scalars(const typename V::scalar* s)
        : Free::Scalars<V>(s),
          keep(V::set1(s[kKeep])),
          take(V::set1(s[kTake])),
          root_scale(V::set1(s[kRootScale])),
          eps(V::set1(s[kEpsilon])) {}
    V keep, take, root_scale, eps;
  };

  template <class V, int Variant>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    V& v = state[1];
    v = V::fma(c.keep, v, V::mul(V::mul(c.take, g), g));
    const V scaled = kernels::over_root < Variant == 1 > (g, v, c.root_scale, c.eps);
    return Free::descend<V>(w, V::fma(c.decay, w, scaled), state[0], c);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

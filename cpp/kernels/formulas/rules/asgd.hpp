#pragma once

#include "base/scalar_math.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w;  e = lr / (1 + lambd lr (t - 1))^alpha;  w = w (1 - lambd e) - e g
// and beside it the average a += (w - a) / max(1, t - 1 - t0), which is w up to there.
// Polyak, Juditsky: "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim.
// 30, 1992; as PyTorch has it. The state is a - w, so that it starts from zero.
struct asgd {
  static constexpr const char* name = "asgd";
  static constexpr const char* parameters = "lr,lambd,alpha,t0,weight_decay";
  enum { kLr, kLambd, kAlpha, kT0, kWeightDecay, kParameters };

  static constexpr int variants = 1;
  static constexpr int states_of(int) { return 1; }
  static int variant(const double*) { return 0; }
  static double evaluation(const double*) { return 1.0; }

  enum { kRate, kDecay, kShrink, kKeep, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    const double before = static_cast<double>(step - 1);
    const double rate = lr / base::raise(1.0 + h[kLambd] * lr * before, h[kAlpha]);
    const double averaged = before - h[kT0];
    scalars[kRate] = -rate;
    scalars[kDecay] = h[kWeightDecay];
    scalars[kShrink] = 1.0 - h[kLambd] * rate;
    scalars[kKeep] = averaged > 1.0 ? 1.0 - 1.0 / averaged : 0.0;
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          decay(V::set1(s[kDecay])),
          shrink(V::set1(s[kShrink])),
          keep(V::set1(s[kKeep])) {}
    V rate, decay, shrink, keep;
  };

  template <class V, int>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    g = V::fma(c.decay, w, g);
    const V after = V::fma(c.rate, g, V::mul(w, c.shrink));
    V& ahead = state[0];
    ahead = V::mul(c.keep, V::add(ahead, V::sub(w, after)));
    return after;
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "base/scalar_math.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w;  a = lr min(1, t / warmup_steps);  c = q / sum of all q so far, with
// q = t^r (largest a so far)^weight_lr_power
// z -= a g;  x = (1 - c) x + c z;  w = (1 - b) z + b x,  b the momentum
// Defazio et al.: "The road less scheduled", NeurIPS 2024. The state is d = z - w, so that it
// starts from zero, and x = w + (1 - 1 / b) d, which is to be evaluated.
struct schedule_free_sgd {
  static constexpr const char* name = "schedule_free_sgd";
  static constexpr const char* parameters =
      "lr,momentum,weight_decay,warmup_steps,r,weight_lr_power";
  enum { kLr, kMomentum, kWeightDecay, kWarmup, kR, kPower, kParameters };

  static constexpr int variants = 1;
  static constexpr int states_of(int) { return 1; }
  static int variant(const double*) { return 0; }
  static double evaluation(const double* h) { return share_of_z(h[kMomentum]); }
  static double share_of_z(double b) { return b > 0 ? 1.0 - 1.0 / b : 0.0; }

  static constexpr int kKept = 2;  // the largest rate so far, and the sum of weights
  enum { kDecay, kAlong, kDown, kLeft, kInto, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* kept, double* scalars) {
    scalars[kDecay] = h[kWeightDecay];
    average(h + kWarmup, lr, h[kMomentum], step, kept, scalars);
  }

  // With warmup_steps, r and weight_lr_power: w += along d + down g, d = left d + into g.
  static void average(const double* h, double lr, double b, int64_t step, double* kept,
                      double* scalars) {
    const auto t = static_cast<double>(step);
    const double rate = lr * (t < h[0] ? t / h[0] : 1.0);
    if (rate > kept[0]) kept[0] = rate;
    const double weight = base::raise(t, h[1]) * base::raise(kept[0], h[2]);
    kept[1] += weight;
    const double share = kept[1] > 0 ? weight / kept[1] : 0.0;
    scalars[kAlong] = share;
    scalars[kDown] = rate * (b * (1.0 - share) - 1.0);
    scalars[kLeft] = 1.0 - share;
    scalars[kInto] = -rate * b * (1.0 - share);
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : decay(V::set1(s[kDecay])),
          along(V::set1(s[kAlong])),
          down(V::set1(s[kDown])),
          left(V::set1(s[kLeft])),
          into(V::set1(s[kInto])) {}
    V decay, along, down, left, into;
  };

  template <class V, int>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    return descend(w, V::fma(c.decay, w, g), state[0], c);
  }

  template <class V>
  static V descend(V w, V g, V& d, const Scalars<V>& c) {
    w = V::fma(c.along, d, V::fma(c.down, g, w));
    d = V::fma(c.left, d, V::mul(c.into, g));
    return w;
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

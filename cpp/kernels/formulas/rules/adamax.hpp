#pragma once

#include "base/scalar_math.hpp"
#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// g += weight_decay w;  m = b1 m + (1 - b1) g,  u = max(b2 u, |g| + eps)
// w -= lr / (1 - b1^t) m / u
// Kingma, Ba: "Adam: A method for stochastic optimization", ICLR 2015, section 7.1.
struct adamax {
  static constexpr const char* name = "adamax";
  static constexpr const char* parameters = "lr,beta1,beta2,eps,weight_decay";
  enum { kLr, kBeta1, kBeta2, kEps, kWeightDecay, kParameters };

  static constexpr int variants = 1;
  static constexpr int states_of(int) { return 2; }
  static int variant(const double*) { return 0; }

  enum { kRate, kDecay, kKeep1, kTake1, kKeep2, kEpsilon, kScalars };
  static void prepare(const double* h, double lr, int64_t step, double* scalars) {
    scalars[kRate] = -lr / (1.0 - base::power(h[kBeta1], step));
    scalars[kDecay] = h[kWeightDecay];
    scalars[kKeep1] = h[kBeta1];
    scalars[kTake1] = 1.0 - h[kBeta1];
    scalars[kKeep2] = h[kBeta2];
    scalars[kEpsilon] = h[kEps];
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          decay(V::set1(s[kDecay])),
          keep1(V::set1(s[kKeep1])),
          take1(V::set1(s[kTake1])),
          keep2(V::set1(s[kKeep2])),
          eps(V::set1(s[kEpsilon])) {}
    V rate, decay, keep1, take1, keep2, eps;
  };

  template <class V, int>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    g = V::fma(c.decay, w, g);
    V& m = state[0];
    V& u = state[1];
    m = V::fma(c.keep1, m, V::mul(c.take1, g));
    u = V::max(V::mul(c.keep2, u), V::add(V::abs(g), c.eps));
    // Without epsilon, where no gradient has come yet, nothing is not divided by nothing.
    const V largest = V::max(u, V::set1(Constants<V>::kMinNormal));
    return V::fma(c.rate, V::div(m, largest), w);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

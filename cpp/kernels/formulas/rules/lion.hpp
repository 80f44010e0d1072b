#pragma once

#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// w -= lr weight_decay w;  w -= lr sign(b1 m + (1 - b1) g);  m = b2 m + (1 - b2) g
// Chen et al.: "Symbolic discovery of optimization algorithms", NeurIPS 2023.
struct lion {
  static constexpr const char* name = "lion";
  static constexpr const char* parameters = "lr,beta1,beta2,weight_decay";
  enum { kLr, kBeta1, kBeta2, kWeightDecay, kParameters };

  static constexpr int variants = 1;
  static constexpr int states_of(int) { return 1; }
  static int variant(const double*) { return 0; }

  enum { kRate, kShrink, kKeep1, kTake1, kKeep2, kTake2, kScalars };
  static void prepare(const double* h, double lr, int64_t, double* scalars) {
    scalars[kRate] = -lr;
    scalars[kShrink] = 1.0 - lr * h[kWeightDecay];
    scalars[kKeep1] = h[kBeta1];
    scalars[kTake1] = 1.0 - h[kBeta1];
    scalars[kKeep2] = h[kBeta2];
    scalars[kTake2] = 1.0 - h[kBeta2];
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])),
          shrink(V::set1(s[kShrink])),
          keep1(V::set1(s[kKeep1])),
          take1(V::set1(s[kTake1])),
          keep2(V::set1(s[kKeep2])),
          take2(V::set1(s[kTake2])) {}
    V rate, shrink, keep1, take1, keep2, take2;
  };

  template <class V, int>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    V& m = state[0];
    const V direction = V::fma(c.keep1, m, V::mul(c.take1, g));
    m = V::fma(c.keep2, m, V::mul(c.take2, g));
    return V::fma(c.rate, kernels::sign(direction), V::mul(w, c.shrink));
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// r' = sqrt(r^2 + g^2);  z += lr g - (r' - r) w
// w = 0 where |z| <= lr lambda_1, else -(z - sign(z) lr lambda_1) / (beta + r' + lr lambda_2)
// McMahan et al.: "Ad click prediction: a view from the trenches", KDD 2013, with z times lr: then
// weights do not change with the rate. r is kept and not its square, which might vanish.
struct ftrl {
  static constexpr const char* name = "ftrl";
  static constexpr const char* parameters = "lr,beta,lambda_1,lambda_2";
  enum { kLr, kBeta, kLambda1, kLambda2, kParameters };

  static constexpr int variants = 1;
  static constexpr int states_of(int) { return 2; }
  static int variant(const double*) { return 0; }

  enum { kRate, kThreshold, kMore, kScalars };
  static void prepare(const double* h, double lr, int64_t, double* scalars) {
    scalars[kRate] = lr;
    scalars[kThreshold] = lr * h[kLambda1];
    scalars[kMore] = h[kBeta] + lr * h[kLambda2];
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : rate(V::set1(s[kRate])), threshold(V::set1(s[kThreshold])), more(V::set1(s[kMore])) {}
    V rate, threshold, more;
  };

  template <class T>
  static constexpr T kNothing = sizeof(T) == sizeof(float) ? T(0x1p-102) : T(0x1p-969);

  template <class V, int>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    V& z = state[0];
    V& root = state[1];
    const V zero = V::set1(0);
    const V least = V::set1(Constants<V>::kMinNormal);
    const V size = V::abs(g);
    const V large = V::max(V::max(root, size), least);
    const V share = V::div(V::min(root, size), large);
    const V next = V::mul(large, V::sqrt(V::fma(share, share, V::set1(1))));
    // Where no gradient has come yet, or none whose differences would not vanish, the weight stays.
    const auto untouched = V::lt(V::max(root, size), V::set1(kNothing<typename V::scalar>));
    z = V::fma(c.rate, g, V::fma(V::sub(root, next), w, z));
    z = V::select(untouched, zero, z);
    root = V::select(untouched, zero, next);
    const V beyond = V::sub(z, V::copysign(c.threshold, z));
    const V moved = V::div(V::sub(zero, beyond), V::add(next, c.more));
    const V shrunk = V::select(V::le(V::abs(z), c.threshold), zero, moved);
    return V::select(untouched, w, shrunk);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

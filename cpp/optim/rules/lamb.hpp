#pragma once

#include <cmath>

#include "base/scalar_math.hpp"
#include "optim/pass_rule.hpp"

namespace gd::optim::rules {

// m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
// u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w
// w -= lr q u,  q = |w| / |u|, or 1 where either is 0
// You et al.: "Large batch optimization for deep learning", arXiv:1904.00962.
struct lamb {
  static constexpr const char* name = "lamb";
  static constexpr const char* parameters = "lr,beta1,beta2,eps,weight_decay";
  enum { kLr, kBeta1, kBeta2, kEps, kWeightDecay };
  static constexpr int passes = 2;
  static constexpr int sums = 2;
  static int states(const StepSetting&) { return 2; }

  template <class T>
  static void pass(int pass, const StepSetting& s, const Piece<T>& x, double* sums) {
    const double share2 = 1 - base::power(s[kBeta2], s.step);
    const T scale = static_cast<T>(1 / (1 - base::power(s[kBeta1], s.step)));
    const T root_scale = static_cast<T>(1 / __builtin_sqrt(share2));
    const T eps = static_cast<T>(s[kEps]), decay = static_cast<T>(s[kWeightDecay]);
    T* const m = x.state[0];
    T* const v = x.state[1];
    T u[kPiece];
    if (pass == 0) {
      const T keep1 = static_cast<T>(s[kBeta1]), keep2 = static_cast<T>(s[kBeta2]);
      const T take1 = static_cast<T>(1 - s[kBeta1]) * x.sign, take2 = static_cast<T>(1 - s[kBeta2]);
      for (int64_t i = 0; i < x.size; ++i) {
        m[i] = keep1 * m[i] + take1 * x.g[i];
        v[i] = keep2 * v[i] + take2 * x.g[i] * x.g[i];
      }
    }
    for (int64_t i = 0; i < x.size; ++i) {
      u[i] = scale * m[i] / (root_scale * std::sqrt(v[i]) + eps) + decay * x.w[i];
    }
    if (pass == 0) {
      sums[0] = squares(x.w, x.size);
      sums[1] = squares(u, x.size);
      return;
    }
    const bool trusts = x.sums[0] > 0 && x.sums[1] > 0;
    const double trust = trusts ? __builtin_sqrt(x.sums[0]) / __builtin_sqrt(x.sums[1]) : 1;
    const T rate = static_cast<T>(s.lr * trust);
    for (int64_t i = 0; i < x.size; ++i) x.w[i] -= rate * u[i];
  }

  template <class T>
  using rule = PassRule<T, lamb>;
};

}  // namespace gd::optim::rules

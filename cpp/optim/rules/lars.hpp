#pragma once

#include "optim/pass_rule.hpp"

namespace gd::optim::rules {

// Of matrices g = q (g + weight_decay w), q = trust_coefficient |w| / (|g| + weight_decay |w|), or
// 1 where that is nothing; of vectors g as it is. v = momentum v + (1 - dampening) g,  w -= lr v,
// with nesterov lr (g + momentum v) You, Gitman, Ginsburg: "Large batch training of convolutional
// networks", arXiv:1708.03888.
struct lars {
  static constexpr const char* name = "lars";
  static constexpr const char* parameters =
      "lr,momentum,dampening,weight_decay,nesterov,trust_coefficient";
  enum { kLr, kMomentum, kDampening, kWeightDecay, kNesterov, kTrust };
  static constexpr int passes = 2;
  static constexpr int sums = 2;
  static int states(const StepSetting& s) { return s[kMomentum] != 0 ? 1 : 0; }

  template <class T>
  static void pass(int pass, const StepSetting& s, const Piece<T>& x, double* sums) {
    if (pass == 0) {
      sums[0] = squares(x.w, x.size);
      sums[1] = squares(x.g, x.size);
      return;
    }
    double trust = 1, decay = 0;
    if (x.span->kind == SpanKind::weight) {
      const double length = __builtin_sqrt(x.sums[0]);
      const double below = __builtin_sqrt(x.sums[1]) + s[kWeightDecay] * length;
      if (length > 0 && below > 0) trust = s[kTrust] * length / below;
      decay = s[kWeightDecay];
    }
    const T of_g = static_cast<T>(trust) * x.sign, of_w = static_cast<T>(trust * decay);
    const T keep = static_cast<T>(s[kMomentum]), take = static_cast<T>(1 - s[kDampening]);
    const T lr = static_cast<T>(s.lr);
    for (int64_t i = 0; i < x.size; ++i) {
      T step = of_g * x.g[i] + of_w * x.w[i];
      if (keep != 0) {
        const T v = x.state[0][i] = keep * x.state[0][i] + take * step;
        step = s[kNesterov] != 0 ? step + keep * v : v;
      }
      x.w[i] -= lr * step;
    }
  }

  template <class T>
  using rule = PassRule<T, lars>;
};

}  // namespace gd::optim::rules

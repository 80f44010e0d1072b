#pragma once

#include <cmath>

#include "base/scalar_math.hpp"
#include "optim/pass_rule.hpp"

namespace gd::optim::rules {

// n = beta3 n + (d / d0) d lr <g, w0 - w>,  s = beta3 s + (d / d0) d lr g
// m = beta1 m + (1 - beta1) d g,  v = beta2 v + (1 - beta2) d^2 g^2
// d' = min(largest d_coef n / sum |s| so far, d growth_rate)
// w -= d lr weight_decay w + d lr m / (sqrt(v) + d' eps)
// A beta3 below 0 is sqrt(beta2), a growth_rate of 0 no limit. In the form of prodigyopt.
// Mishchenko, Defazio: "Prodigy: an expeditiously adaptive parameter-free learner",
// arXiv:2306.06101.
struct prodigy {
  static constexpr const char* name = "prodigy";
  static constexpr const char* parameters =
      "lr,beta1,beta2,beta3,eps,weight_decay,decouple,use_bias_correction,safeguard_warmup,d0,"
      "d_coef,growth_rate";
  enum {
    kLr,
    kBeta1,
    kBeta2,
    kBeta3,
    kEps,
    kWeightDecay,
    kDecouple,
    kCorrects,
    kSafeguard,
    kD0,
    kCoef,
    kGrowth
  };
  static constexpr int passes = 2;
  static constexpr int sums = 2;
  static int states(const StepSetting&) { return 4; }

  // The last is the d that the step began with, or 0 where it does not move.
  enum { kD, kLargest, kNumerator, kBefore };
  static constexpr int kept = 4;
  static void start(const StepSetting& s, double* k) {
    k[kD] = k[kLargest] = s[kD0];
    k[kNumerator] = 0;
    k[kBefore] = s[kD0];
  }

  static double rate(const StepSetting& s, double d) {
    double rate = d * s.lr;
    if (s[kCorrects] != 0) {
      rate *=
          __builtin_sqrt(1 - base::power(s[kBeta2], s.step)) / (1 - base::power(s[kBeta1], s.step));
    }
    return rate;
  }
  static double beta3(const StepSetting& s) {
    return s[kBeta3] < 0 ? __builtin_sqrt(s[kBeta2]) : s[kBeta3];
  }

  static void between(int, const std::vector<StepSetting>& settings, const double* sums,
                      double* k) {
    const StepSetting& s = settings.front();
    const double d = k[kD];
    k[kBefore] = sums[1] > 0 ? d : 0;
    if (!(sums[1] > 0)) return;
    k[kNumerator] = k[kNumerator] * beta3(s) + sums[0];
    const double found = s[kCoef] * k[kNumerator] / sums[1];
    k[kLargest] = std::max(k[kLargest], found);
    const double grows = d == s[kD0] ? std::max(d, found) : d;
    k[kD] = s[kGrowth] > 0 ? std::min(k[kLargest], grows * s[kGrowth]) : k[kLargest];
  }

  template <class T>
  static void pass(int pass, const StepSetting& s, const Piece<T>& x, double* sums,
                   const double* k) {
    T* const m = x.state[0];
    T* const v = x.state[1];
    T* const shares = x.state[2];
    T* const first = x.state[3];
    const double d = pass == 0 ? k[kD] : k[kBefore];
    const double lr = rate(s, d);
    if (pass == 1) {
      if (d == 0) return;
      const T by = static_cast<T>(lr), eps = static_cast<T>(k[kD] * s[kEps]);
      const T shrink = static_cast<T>(s[kDecouple] != 0 ? 1 - s[kWeightDecay] * lr : 1);
      for (int64_t i = 0; i < x.size; ++i) {
        x.w[i] = shrink * x.w[i] - by * m[i] / (std::sqrt(v[i]) + eps);
      }
      return;
    }
    if (s.step == 1) std::copy_n(x.w, x.size, first);
    if (s.lr == 0) return;
    const double share = d / s[kD0] * (s[kSafeguard] != 0 ? d : lr);
    const T decay = static_cast<T>(s[kDecouple] != 0 ? 0 : s[kWeightDecay]);
    const T keep1 = static_cast<T>(s[kBeta1]), take1 = static_cast<T>((1 - s[kBeta1]) * d);
    const T keep2 = static_cast<T>(s[kBeta2]), take2 = static_cast<T>((1 - s[kBeta2]) * d * d);
    const T keep3 = static_cast<T>(beta3(s)), take3 = static_cast<T>(share);
    T terms[kPiece], sizes[kPiece];
    for (int64_t i = 0; i < x.size; ++i) {
      const T g = x.sign * x.g[i] + decay * x.w[i];
      terms[i] = g * (first[i] - x.w[i]);
      m[i] = keep1 * m[i] + take1 * g;
      v[i] = keep2 * v[i] + take2 * g * g;
      shares[i] = keep3 * shares[i] + take3 * g;
      sizes[i] = std::abs(shares[i]);
    }
    const auto size = static_cast<size_t>(x.size);
    sums[0] = d / s[kD0] * lr * static_cast<double>(ops::sum<T>({terms, size}));
    sums[1] = static_cast<double>(ops::sum<T>({sizes, size}));
  }

  template <class T>
  using rule = PassRule<T, prodigy>;
};

}  // namespace gd::optim::rules

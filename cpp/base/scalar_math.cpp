#include "base/scalar_math.hpp"

#include <bit>
#include <cmath>

namespace gd::base {

double power(double x, int64_t n) {
  double result = 1.0;
  for (; n > 0; n >>= 1) {
    // The bits of a step's number follow no pattern that a branch predictor learns.
    const uint64_t all_or_none = ~static_cast<uint64_t>(n & 1) + 1;
    const uint64_t one = std::bit_cast<uint64_t>(1.0);
    result *= std::bit_cast<double>(one ^ (all_or_none & (one ^ std::bit_cast<uint64_t>(x))));
    x *= x;
  }
  return result;
}

double log(double x) {
  // x = m 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh(s), s = (m - 1) / (m + 1), |s| <
  // 0.172.
  uint64_t bits = std::bit_cast<uint64_t>(x);
  auto exponent = static_cast<int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double s2 = s * s;
  double series = 0.0;
  for (int k = 25; k >= 1; k -= 2) series = series * s2 + 1.0 / k;
  return static_cast<double>(exponent) * 0.6931471805599453 + 2.0 * s * series;
}

double exp(double x) {
  if (!(x < 709.78)) return x > 0 ? HUGE_VAL : x;
  if (x < -708.39) return 0.0;
  // x = n log 2 + r with |r| <= log(2) / 2; the high part of log 2 ends in zeros, so that n times
  // it is exact.
  const auto n = static_cast<int64_t>(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));
  const auto whole = static_cast<double>(n);
  const double r = (x - whole * 0x1.62e42feep-1) - whole * 0x1.a39ef35793c76p-33;
  double series = 1.0;
  for (int k = 15; k >= 1; --k) series = 1.0 + series * r / k;
  // In two steps: 2^1024 is no number.
  const int64_t half = n / 2;
  const auto two_to = [](int64_t k) {
    return std::bit_cast<double>(static_cast<uint64_t>(k + 1023) << 52);
  };
  return series * two_to(half) * two_to(n - half);
}

double raise(double x, double p) {
  if (p >= 0 && p < 0x1p53) {
    const auto whole = static_cast<int64_t>(p);
    if (static_cast<double>(whole) == p) return power(x, whole);
  }
  if (x == 0) return p < 0 ? HUGE_VAL : 0.0;
  return x < HUGE_VAL ? exp(p * log(x)) : p < 0 ? 0.0 : HUGE_VAL;
}

double cos_two_pi(double t) {
  // Fold into [0, 1/4], where the angle is at most pi/2, then use whichever of the two series
  // converges fast: cos up to pi/4, sin of the complement beyond.
  if (t > 0.5) t = 1.0 - t;
  const double sign = t > 0.25 ? -1.0 : 1.0;
  if (t > 0.25) t = 0.5 - t;
  constexpr double kTwoPi = 6.283185307179586;
  if (t <= 0.125) {
    const double a = kTwoPi * t;
    double series = 1.0;
    for (int k = 20; k >= 2; k -= 2) series = 1.0 - series * (a * a) / (k * (k - 1));
    return sign * series;
  }
  const double a = kTwoPi * (0.25 - t);
  double series = 1.0;
  for (int k = 21; k >= 3; k -= 2) series = 1.0 - series * (a * a) / (k * (k - 1));
  return sign * (a * series);
}

}  // namespace gd::base

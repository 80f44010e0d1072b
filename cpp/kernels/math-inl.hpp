#pragma once

// exp, expm1, log, log1p, tanh, sigmoid and erf over a vector type V: the same operations in the
// same order for every instruction set and width, so that results are equal bit for bit. Errors and
// method: docs/design/elementary_functions.md; docs/design/fit_polynomials.py prints the
// coefficients.
//
// V is a value type with V::scalar = float or double and these static functions:
//   set1 add sub mul div abs; fma(a, b, c) = a * b + c, rounded once; copysign(magnitude, sign)
//   max(a, b) = a > b ? a : b and min(a, b) = a < b ? a : b: b when either is NaN
//   lt le gt -> V::Mask, false for NaN; select(mask, yes, no)
//   round(a): to the nearest integer, ties to even
//   exp2i(n) = 2^n for an integer n in the normal exponent range, and asked for nothing else
//   split(x, &m, &e): x = m * 2^e with 1 <= m < 2, for a normal x > 0; else any m and e will do
//
// NaN gives NaN. For normal arguments no result hangs on whether or how denormals are flushed.
//
// The namespace is anonymous on purpose: no symbol of a kernel file may leak (nm test).

namespace gd::kernels {
namespace {

template <class V>
inline constexpr bool kSinglePrecision = sizeof(typename V::scalar) == 4;

// ln 2 = kLn2 + kLn2Low; x - n * kLn2 has an exact result for n = round(x / ln 2).
template <class Scalar>
struct MathConstants;

template <>
struct MathConstants<float> {
  static constexpr float kLog2E = 1.442695f, kLn2 = 0.6931472f, kLn2Low = -1.9046542e-09f;
  static constexpr float kMinNormal = 0x1p-126f, kLogMinNormal = -87.33654f;
  static constexpr float kMinExponent = -126.0f, kMaxExponent = 127.0f;
  // From here on e^x - 1 rounds to -1, tanh and erf to 1.
  static constexpr float kExpm1Low = -20.0f, kTanhHigh = 10.0f, kErfHigh = 4.0f;
  static constexpr float kInfinity = __builtin_huge_valf(), kNaN = __builtin_nanf("");
};

template <>
struct MathConstants<double> {
  static constexpr double kLog2E = 1.4426950408889634, kLn2 = 0.6931471805599453,
                          kLn2Low = 2.3190468138462996e-17;
  static constexpr double kMinNormal = 0x1p-1022, kLogMinNormal = -708.3964185322641;
  static constexpr double kMinExponent = -1022.0, kMaxExponent = 1023.0;
  static constexpr double kExpm1Low = -40.0, kTanhHigh = 20.0, kErfHigh = 6.0;
  static constexpr double kInfinity = __builtin_huge_val(), kNaN = __builtin_nan("");
};

template <class V>
using Constants = MathConstants<typename V::scalar>;

// c0 + c1 x + c2 x^2 + ...: Horner's rule in x^2 over pairs, half as long a chain for the same
// number of operations.
template <class V, class C>
[[gnu::always_inline]] inline V polynomial(V, V, C c0) {
  return V::set1(c0);
}
template <class V, class C>
[[gnu::always_inline]] inline V polynomial(V x, V, C c0, C c1) {
  return V::fma(V::set1(c1), x, V::set1(c0));
}
template <class V, class C, class... Rest>
[[gnu::always_inline]] inline V polynomial(V x, V x2, C c0, C c1, C c2, Rest... rest) {
  return V::fma(polynomial(x, x2, c2, rest...), x2, polynomial(x, x2, c0, c1));
}

// e^x = s + s (r + tail) with s = 2^n, r = x - n ln 2 and tail = e^r - 1 - r = r^2 p(r).
template <class V>
struct ExpParts {
  V s, r, r2, p;
};

// x / ln 2 rounded, for results that would need 2^128 (2^1024) one less: the polynomial holds up to
// r = ln 2. Only n is limited, here and below; large x, infinity and NaN make their own way in r,
// as all coefficients are positive.
template <class V>
[[gnu::always_inline]] inline V exponent(V x) {
  const V n = V::round(V::mul(x, V::set1(Constants<V>::kLog2E)));
  return V::min(n, V::set1(Constants<V>::kMaxExponent));  // so is NaN
}

// n is at least kMinExponent.
template <class V>
[[gnu::always_inline]] inline ExpParts<V> exp_parts(V x, V n) {
  using K = Constants<V>;
  V r = V::fma(n, V::set1(-K::kLn2), x);
  r = V::fma(n, V::set1(-K::kLn2Low), r);
  const V r2 = V::mul(r, r);
  V p;
  if constexpr (kSinglePrecision<V>) {
    p = polynomial(r, r2, 0.5f, 0.1666669f, 0.041666657f, 0.008328524f, 0.0013916572f,
                   0.00022184703f);
  } else {
    p = polynomial(r, r2, 0.5000000000000001, 0.1666666666666621, 0.041666666666653,
                   0.008333333333631556, 0.0013888888891168546, 0.00019841269211561135,
                   2.480159004691826e-05, 2.755784843260331e-06, 2.7550341126739394e-07,
                   2.4916461664795765e-08, 2.408702836785293e-09);
  }
  return {V::exp2i(n), r, r2, p};
}

// e^x; infinity from 128 ln 2 (1024 ln 2) on, 0 below -126 ln 2 (-1022 ln 2).
template <class V>
[[gnu::always_inline]] inline V exp(V x) {
  using S = typename V::scalar;
  using K = Constants<V>;
  const ExpParts<V> e = exp_parts(x, V::max(exponent(x), V::set1(K::kMinExponent)));
  const V y = V::fma(e.s, V::fma(e.p, e.r2, e.r), e.s);
  return V::select(V::lt(x, V::set1(K::kLogMinNormal)), V::set1(S(0)), y);
}

// e^x - 1, also near 0, for x >= kExpm1Low.
template <class V>
[[gnu::always_inline]] inline V expm1_above_low(V x) {
  using S = typename V::scalar;
  const ExpParts<V> e = exp_parts(x, exponent(x));
  // s r + (s - 1) is nearly exact where it cancels; only the small s r^2 p(r) has a rounded factor.
  const V head = V::fma(e.s, e.r, V::sub(e.s, V::set1(S(1))));
  return V::fma(e.s, V::mul(e.p, e.r2), head);
}

// e^x - 1, also near 0.
template <class V>
[[gnu::always_inline]] inline V expm1(V x) {
  return expm1_above_low(V::max(V::set1(Constants<V>::kExpm1Low), x));
}

// -a / (b + c) for b, c >= 0, nearly as if b + c were not rounded: a first quotient and one step of
// Newton's method on a - q b - q c, which is exact but for its last rounding while c <= b.
template <class V>
[[gnu::always_inline]] inline V minus_ratio(V a, V b, V c) {
  using S = typename V::scalar;
  const V minus_reciprocal = V::div(V::set1(S(-1)), V::add(b, c));
  const V minus_q = V::mul(a, minus_reciprocal);
  const V rest = V::fma(minus_q, c, V::fma(minus_q, b, a));
  return V::fma(rest, minus_reciprocal, minus_q);
}

// tanh |x| = t / (2 + t) with t = e^2|x| - 1; at the clamp 2 + t rounds to t.
template <class V>
[[gnu::always_inline]] inline V tanh(V x) {
  using S = typename V::scalar;
  const V a = V::min(V::set1(Constants<V>::kTanhHigh), V::abs(x));
  const V t = expm1_above_low(V::add(a, a));
  return V::copysign(minus_ratio(t, V::set1(S(2)), t), x);
}

// 1 / (1 + e^-x), also far out on both sides.
template <class V>
[[gnu::always_inline]] inline V sigmoid(V x) {
  using S = typename V::scalar;
  const V one = V::set1(S(1)), zero = V::set1(S(0));
  const V e = exp(V::sub(zero, V::abs(x)));
  return V::abs(minus_ratio(V::select(V::lt(x, zero), e, one), one, e));
}

// The same for x <= 0 only.
template <class V>
[[gnu::always_inline]] inline V sigmoid_of_negative(V x) {
  const V e = exp(x);
  return V::abs(minus_ratio(e, V::set1(1), e));
}

// e ln 2 + log(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)]. With s = f / (2 + f) and z = s^2 the
// second is 2 atanh(s) = 2 s + s z p(z); as 2 s = f - s f, and s f = f^2/2 - s f^2/2, it is f -
// f^2/2 + s (f^2/2 + z p(z)), where f is exact and the rest small.
template <class V>
[[gnu::always_inline]] inline V log_from_parts(V f, V e) {
  using S = typename V::scalar;
  const V s = V::div(f, V::add(f, V::set1(S(2))));
  const V z = V::mul(s, s), z2 = V::mul(z, z);
  V p;
  if constexpr (kSinglePrecision<V>) {
    p = polynomial(z, z2, 0.66666776f, 0.39977515f, 0.2987389f);
  } else {
    p = polynomial(z, z2, 0.6666666666666736, 0.39999999999400065, 0.2857142874609678,
                   0.22222198150883923, 0.18183588249192376, 0.1531339155859414,
                   0.1480298439048937);
  }
  const V half_square = V::mul(V::mul(V::set1(S(0.5)), f), f);
  const V low = V::fma(s, V::fma(p, z, half_square), V::mul(e, V::set1(Constants<V>::kLn2Low)));
  return V::fma(e, V::set1(Constants<V>::kLn2), V::sub(f, V::sub(half_square, low)));
}

// The natural logarithm; -infinity at 0, NaN below.
template <class V>
[[gnu::always_inline]] inline V log(V x) {
  using S = typename V::scalar;
  using K = Constants<V>;
  V m, e;
  V::split(x, &m, &e);
  const typename V::Mask large = V::gt(m, V::set1(S(1.4142135623730951)));
  m = V::select(large, V::mul(m, V::set1(S(0.5))), m);
  e = V::select(large, V::add(e, V::set1(S(1))), e);
  V y = log_from_parts(V::sub(m, V::set1(S(1))), e);
  y = V::select(V::lt(x, V::set1(K::kInfinity)), y, x);  // infinity and NaN
  y = V::select(V::lt(x, V::set1(K::kMinNormal)), V::set1(-K::kInfinity), y);
  return V::select(V::le(x, V::set1(-K::kMinNormal)), V::set1(K::kNaN), y);
}

// log(1 + x), also near 0, for x in [-0.29, 1.8] only: softplus and its like need x = e^-|z|.
template <class V>
[[gnu::always_inline]] inline V log1p(V x) {
  using S = typename V::scalar;
  const V one = V::set1(S(1)), half = V::set1(S(0.5));
  // 1 + f is 1 + x, or half of it above sqrt(2).
  const typename V::Mask large = V::gt(x, V::set1(S(0.41421356237309503)));
  const V f = V::select(large, V::fma(x, half, V::set1(S(-0.5))), x);
  return log_from_parts(f, V::select(large, one, V::set1(S(0))));
}

// The error function up to |x| = 1, x + x p(x^2), and 1 - erf |x| from there to kErfHigh, e^p(|x|).
template <class V>
struct ErfParts {
  V near, tail;
};

template <class V>
[[gnu::always_inline]] inline ErfParts<V> erf_parts(V x) {
  const V z = V::mul(x, x), z2 = V::mul(z, z);
  const V t = V::min(V::abs(x), V::set1(Constants<V>::kErfHigh));  // not NaN
  const V t2 = V::mul(t, t);
  V p, q;
  if constexpr (kSinglePrecision<V>) {
    p = polynomial(z, z2, 0.12837917f, -0.37612626f, 0.11283579f, -0.026853347f, 0.005187162f,
                   -0.0007997853f, 7.806904e-05f);
    q = polynomial(t, t2, -0.0003537222f, -1.12704f, -0.6382257f, -0.103037395f, 0.021805348f,
                   -0.0029396205f, 0.0001855761f);
  } else {
    p = polynomial(z, z2, 0.1283791670955126, -0.376126389031841, 0.112837916709711,
                   -0.026866170648031693, 0.005223977652700719, -0.0008548328536423055,
                   0.0001205538622155017, -1.4926882264758457e-05, 1.6481073615539156e-06,
                   -1.6557305317265136e-07, 1.6014536907981202e-08, -1.6470273892404426e-09,
                   1.4353690205756757e-10);
    q = polynomial(t, t2, -5.132144057725554e-07, -1.1283739919765916, -0.6366440538910837,
                   -0.10270229318512517, 0.01898804857750367, 0.00041352732885042336,
                   -0.001918935749108023, 0.0007730349237516896, -0.00013654891760762834,
                   -1.9526492226530913e-05, 2.2534332547638093e-05, -8.579236401235092e-06,
                   2.1149091135585913e-06, -3.6958522330584173e-07, 4.593582654681271e-08,
                   -3.8902509970626545e-09, 2.0204758779765386e-10, -4.865446480722446e-12);
  }
  const ExpParts<V> e = exp_parts(q, exponent(q));
  return {V::fma(x, p, x), V::fma(e.s, V::fma(e.p, e.r2, e.r), e.s)};
}

template <class V>
[[gnu::always_inline]] inline V erf_of(const ErfParts<V>& parts, V x) {
  const V one = V::set1(typename V::scalar(1));
  const V far = V::copysign(V::sub(one, parts.tail), x);
  return V::select(V::gt(V::abs(x), one), far, parts.near);
}

// The error function.
template <class V>
[[gnu::always_inline]] inline V erf(V x) {
  return erf_of(erf_parts(x), x);
}

}  // namespace
}  // namespace gd::kernels

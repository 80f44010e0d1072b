#pragma once

// Scalar functions whose results reach a parameter. libm's differ between machines; these are made
// of +, -, *, / and sqrt alone, which IEEE 754 fixes to the last bit.

#include <cstdint>

namespace gd::base {

// x^n for n >= 0, by squaring.
double power(double x, int64_t n);

// Natural logarithm of a normal x > 0, within a few units in the last place.
double log(double x);

// x^y for a normal x > 0 and results that are normal, within a few units in the last place for each
// power of e.
double raised(double x, double y);

// cos(2 pi t) for t in [0, 1], absolute error below 1e-15.
double cos_two_pi(double t);

}  // namespace gd::base

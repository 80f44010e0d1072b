#pragma once

// Scalar functions whose results reach a parameter. libm's differ between machines; these are made
// of +, -, *, / and sqrt alone, which IEEE 754 fixes to the last bit.

#include <cstdint>

namespace gd::base {

// x^n for n >= 0, by squaring.
double power(double x, int64_t n);

// Natural logarithm of a normal x > 0, within a few units in the last place.
double log(double x);

// e^x, within a few units in the last place; 0 where that is below the normal numbers.
double exp(double x);

// x^p for x >= 0. As exact as `power` where p is a whole number of at least 0; else, with the error
// of exp(p log x), about |p log x| units in the last place.
double raise(double x, double p);

// cos(2 pi t) for t in [0, 1], absolute error below 1e-15.
double cos_two_pi(double t);

}  // namespace gd::base

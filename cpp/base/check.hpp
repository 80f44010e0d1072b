#pragma once

// Errors of the library. bindings/ maps each to the Python exception of the same kind.

#include <cstdint>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>

namespace gd::base {

// A value out of its domain: shape, range, NaN, unknown name.
struct ValueError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// A value of a type that cannot be used at all.
struct TypeError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// A call at a moment when it has no meaning, e.g. backward before forward.
struct StateError : std::logic_error {
  using std::logic_error::logic_error;
};

// Numbers left the finite range in the course of a computation.
struct DivergenceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Joins anything printable into one message.
template <class... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class Error, class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(message(parts...));
}

// For parts that cost nothing to pass; where making them does, write if (...) fail<...>(...).
template <class Error, class... Parts>
void require(bool holds, const Parts&... parts) {
  if (!holds) fail<Error>(parts...);
}

// x rounded to T; ValueError where that is infinite, or zero or denormal although x is not zero.
template <class T>
T representable(double x, const std::string& name) {
  const T rounded = static_cast<T>(x);
  const T size = rounded < 0 ? -rounded : rounded;
  const bool fits =
      x == 0 || (size >= std::numeric_limits<T>::min() && size <= std::numeric_limits<T>::max());
  if (!(x - x == 0)) fail<ValueError>(name, " must be finite, got ", x);
  if (!fits) {
    fail<ValueError>(name, " must be a number that ", sizeof(T) == 4 ? "float32" : "float64",
                     " can hold, got ", x);
  }
  return rounded;
}

// a * b, or a ValueError that names what overflowed; both must be non-negative.
int64_t checked_product(int64_t a, int64_t b, const char* what);

}  // namespace gd::base

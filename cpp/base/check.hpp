#pragma once

// Errors of the library. bindings/ maps each to the Python exception of the same kind.

#include <cstdint>
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

// a * b, or a ValueError that names what overflowed; both must be non-negative.
int64_t checked_product(int64_t a, int64_t b, const char* what);

}  // namespace gd::base

#pragma once

// Errors of the library. bindings/ maps each to the Python exception of the same kind.

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

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

// A part of a message: text or a number, as streams print them. Messages are put together by one
// function for all, since texts of two lengths are of two types.
class Part {
 public:
  Part(std::string_view text) : kind_(Kind::text), size_(text.size()) { of_.text = text.data(); }
  template <class Number>
    requires std::is_arithmetic_v<Number>
  Part(Number number) {
    if constexpr (std::is_same_v<Number, char>) {
      kind_ = Kind::letter;
      of_.integer = number;
    } else if constexpr (std::is_floating_point_v<Number>) {
      kind_ = Kind::real;
      of_.real = static_cast<double>(number);
    } else if constexpr (std::is_signed_v<Number>) {
      kind_ = Kind::integer;
      of_.integer = number;
    } else {
      kind_ = Kind::natural;
      of_.natural = number;
    }
  }

 private:
  friend std::string joined(std::initializer_list<Part> parts);
  enum class Kind : uint8_t { text, letter, integer, natural, real } kind_;
  size_t size_ = 0;
  union {
    const char* text;
    int64_t integer;
    uint64_t natural;
    double real;
  } of_;
};

std::string joined(std::initializer_list<Part> parts);

// Joins texts and numbers into one message.
template <class... Parts>
[[gnu::always_inline]] inline std::string message(const Parts&... parts) {
  return joined({Part(parts)...});
}

template <class Error>
[[noreturn, gnu::cold, gnu::noinline]] void fail_with(std::initializer_list<Part> parts) {
  throw Error(joined(parts));
}

template <class Error, class... Parts>
[[noreturn, gnu::always_inline]] inline void fail(const Parts&... parts) {
  fail_with<Error>({Part(parts)...});
}

// For parts that cost nothing to pass; where making them does, write if (...) fail<...>(...).
template <class Error, class... Parts>
[[gnu::always_inline]] inline void require(bool holds, const Parts&... parts) {
  if (!holds) [[unlikely]]
    fail<Error>(parts...);
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

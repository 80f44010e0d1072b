// The elementary functions against the C library in a wider type. The bounds are those of
// docs/design/elementary_functions.md, rounded up.

#include <algorithm>
#include <cmath>

#include "cpp/kernels/support.hpp"
#include "kernels/math-inl.hpp"
#include "kernels/scalar/vec.hpp"

namespace {

using gd::kernels::Vec;

constexpr int kDraws = 20'000;

template <class T>
struct Function {
  const char* name;
  T (*ours)(T);
  long double (*theirs)(long double);
  double low, high;  // arguments
  double most_ulps;
};

#define GD_OURS(f) [](T x) { return gd::kernels::f(Vec<T>{x}).r; }
#define GD_THEIRS(f) [](long double x) -> long double { return std::f(x); }

template <class T>
std::vector<Function<T>> functions() {
  constexpr bool single = sizeof(T) == 4;
  return {
      {"exp", GD_OURS(exp), GD_THEIRS(exp), single ? -87.0 : -708.0, single ? 88.7 : 709.7, 1.6},
      {"expm1", GD_OURS(expm1), GD_THEIRS(expm1), -50, single ? 88.0 : 709.0, 1.9},
      {"log", GD_OURS(log), GD_THEIRS(log), 1e-30, 1e4, 0.9},
      {"log1p", GD_OURS(log1p), GD_THEIRS(log1p), -0.29, 1.8, 1.5},
      {"tanh", GD_OURS(tanh), GD_THEIRS(tanh), -25, 25, 2.0},
      {"sigmoid", GD_OURS(sigmoid), [](long double x) { return 1 / (1 + std::exp(-x)); },
       single ? -87.0 : -700.0, 50, 1.6},
      {"erf", GD_OURS(erf), GD_THEIRS(erf), -7, 7, 1.3},
  };
}

// In the wider type, as the distance of two numbers may be denormal.
template <class T>
double ulps(T got, long double want) {
  const T nearest = std::abs(static_cast<T>(want));
  const long double next = std::nextafter(nearest, std::numeric_limits<T>::infinity());
  return static_cast<double>(std::abs(static_cast<long double>(got) - want) / (next - nearest));
}

// Arguments over the whole range and, on a scale of exponents, towards zero.
template <class T>
void check_errors() {
  for (const Function<T>& f : functions<T>()) {
    gd::base::RandomStream random = gd::testing::random_stream(11);
    double worst = 0;
    const auto look = [&](double argument) {
      const T x = static_cast<T>(std::clamp(argument, f.low, f.high));
      worst = std::max(worst, ulps(f.ours(x), f.theirs(x)));
    };
    for (int i = 0; i < kDraws; ++i) {
      look(f.low + (f.high - f.low) * random.uniform());
      const double sign = random.below(2) == 0 ? 1.0 : -1.0;
      look(sign * std::ldexp(1.0 + random.uniform(), 5 - i % 40));
    }
    CHECK_AT(worst <= f.most_ulps, f.name, " errs by ", worst, " of ", sizeof(T), " bytes");
  }
}

template <class T>
void check_limits() {
  using Limits = std::numeric_limits<T>;
  const T infinity = Limits::infinity();
  for (const Function<T>& f : functions<T>()) {
    CHECK_AT(std::isnan(f.ours(Limits::quiet_NaN())), f.name);
  }
  const auto value = [](const char* name, T x) {
    for (const Function<T>& f : functions<T>()) {
      if (f.name == std::string(name)) return f.ours(x);
    }
    return Limits::quiet_NaN();
  };
  CHECK_EQ(value("exp", infinity), infinity);
  CHECK_EQ(value("exp", -infinity), T(0));
  CHECK_EQ(value("exp", T(0)), T(1));
  CHECK_EQ(value("exp", Limits::lowest()), T(0));
  CHECK_EQ(value("expm1", -infinity), T(-1));
  CHECK_EQ(value("log", T(0)), -infinity);
  CHECK_EQ(value("log", T(1)), T(0));
  CHECK_EQ(value("log", infinity), infinity);
  CHECK(std::isnan(value("log", T(-1))));
  for (const T x : {T(20), T(700), Limits::max(), infinity}) {
    CHECK_EQ(value("tanh", x), T(1));
    CHECK_EQ(value("tanh", -x), T(-1));
    CHECK_EQ(value("erf", x), T(1));
    CHECK_EQ(value("erf", -x), T(-1));
  }
  CHECK_EQ(value("sigmoid", infinity), T(1));
  CHECK_EQ(value("sigmoid", -infinity), T(0));
  CHECK_EQ(value("sigmoid", T(0)), T(0.5));
  gd::base::RandomStream random = gd::testing::random_stream(12);
  for (int i = 0; i < kDraws; ++i) {
    const T x = static_cast<T>(40 * random.uniform() - 20);
    CHECK(std::abs(value("tanh", x)) <= 1 && std::abs(value("erf", x)) <= 1);
    CHECK(value("sigmoid", x) <= 1 && value("sigmoid", x) >= 0);
  }
}

}  // namespace

TEST(elementary_functions_err_by_no_more_than_documented) {
  const gd::testing::Mode mode(*gd::kernels::table_of("scalar"));
  check_errors<float>();
  check_errors<double>();
}

TEST(elementary_functions_reach_their_limits_and_never_pass_them) {
  const gd::testing::Mode mode(*gd::kernels::table_of("scalar"));
  check_limits<float>();
  check_limits<double>();
}

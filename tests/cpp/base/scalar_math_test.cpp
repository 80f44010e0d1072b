#include "base/scalar_math.hpp"

#include <cfloat>
#include <cmath>

#include "cpp/base/support.hpp"

namespace {

// |got - want| in units in the last place of want.
double ulps(double got, long double want) {
  const double nearest = static_cast<double>(want);
  const double unit = std::nextafter(std::abs(nearest), HUGE_VAL) - std::abs(nearest);
  return static_cast<double>(std::abs(static_cast<long double>(got) - want)) / unit;
}

}  // namespace

TEST(log_is_within_a_few_units_in_the_last_place) {
  gd::base::RandomStream random = gd::testing::random_stream(1);
  double worst = 0;
  const auto look = [&](double x) {
    worst = std::max(worst, ulps(gd::base::log(x), std::log(static_cast<long double>(x))));
  };
  for (int i = 0; i < 20'000; ++i) {
    const double u = random.uniform();
    look(1.0 - u);                                                 // what normal() asks for
    look(std::ldexp(1.0 + u, static_cast<int>(i % 2046) - 1022));  // all normal numbers
    look(1.0 + (u - 0.5) * std::ldexp(1.0, -(i % 50)));            // near its zero
  }
  for (const double x : {DBL_MIN, DBL_MAX, 0x1p-53, 0.5, 2.0, 1.4142135623730949,
                         1.4142135623730951, 1.4142135623730954, 0.70710678118654746}) {
    look(x);
  }
  CHECK(worst > 0);
  CHECK(worst <= 4);
  CHECK_EQ(gd::base::log(1.0), 0.0);
}

TEST(cosine_of_turns_is_within_1e_15) {
  gd::base::RandomStream random = gd::testing::random_stream(2);
  constexpr long double two_pi = 6.283185307179586476925286766559005768L;
  double worst = 0;
  const auto look = [&](double t) {
    const long double want = std::cos(two_pi * static_cast<long double>(t));
    const long double error = static_cast<long double>(gd::base::cos_two_pi(t)) - want;
    worst = std::max(worst, static_cast<double>(std::abs(error)));
  };
  for (int i = 0; i < 20'000; ++i) {
    look(random.uniform());
    look(0.125 * (i % 9));
    look(0.125 * (i % 8) + random.uniform() * 1e-9);
  }
  CHECK(worst < 1e-15);
  CHECK_EQ(gd::base::cos_two_pi(0.0), 1.0);
  CHECK_EQ(gd::base::cos_two_pi(1.0), 1.0);
  CHECK_EQ(gd::base::cos_two_pi(0.5), -1.0);
  CHECK_EQ(gd::base::cos_two_pi(0.25), 0.0);
  CHECK_EQ(gd::base::cos_two_pi(0.75), 0.0);
}

TEST(power_by_squaring_is_exact_where_it_can_be) {
  CHECK_EQ(gd::base::power(3.0, 0), 1.0);
  CHECK_EQ(gd::base::power(0.0, 0), 1.0);
  CHECK_EQ(gd::base::power(0.0, 5), 0.0);
  CHECK_EQ(gd::base::power(2.0, 10), 1024.0);
  CHECK_EQ(gd::base::power(3.0, 33), 5559060566555523.0);
  CHECK_EQ(gd::base::power(0.5, 1000), std::ldexp(1.0, -1000));
  CHECK_EQ(gd::base::power(0.9, int64_t{1} << 40), 0.0);
}

// Each of about log2 n squarings doubles the relative error and adds half a unit.
TEST(power_is_close_to_the_library) {
  for (const double x : {0.9, 0.999, 1.0009, -0.75}) {
    for (const int64_t n : {1, 2, 3, 7, 16, 100, 1000}) {
      const long double want = std::pow(static_cast<long double>(x), static_cast<long double>(n));
      CHECK_AT(ulps(gd::base::power(x, n), want) <= 1 + static_cast<double>(n), x, "^", n);
    }
  }
}

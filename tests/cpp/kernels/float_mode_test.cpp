#include "kernels/float_mode.hpp"

#include <cfenv>
#include <limits>

#include "cpp/kernels/support.hpp"

namespace {

// Read at run time, so that the compiler cannot know the result.
template <class T>
T product(T a, T b) {
  volatile T x = a;
  volatile T y = b;
  return x * y;
}

template <class T>
bool flushes_results() {
  return product(std::numeric_limits<T>::min(), T(0.5)) == 0;
}

template <class T>
bool flushes_arguments() {
  return product(std::numeric_limits<T>::denorm_min(), T(1e30)) == 0;
}

// 1 + 2^-60 rounds to 1 unless upwards.
bool rounds_up() {
  volatile double one = 1.0;
  volatile double little = 0x1p-60;
  return one + little > 1.0;
}

}  // namespace

TEST(mode_flushes_denormals_in_and_out) {
  CHECK(!flushes_results<float>() && !flushes_results<double>());
  CHECK(!flushes_arguments<float>() && !flushes_arguments<double>());
  for (const std::string& isa : gd::kernels::available_isas()) {
    {
      const gd::testing::Mode mode(*gd::kernels::table_of(isa));
      CHECK_AT(flushes_results<float>() && flushes_results<double>(), isa);
      CHECK_AT(flushes_arguments<float>() && flushes_arguments<double>(), isa);
    }
    CHECK_AT(!flushes_results<float>() && !flushes_arguments<double>(), isa);
  }
}

TEST(mode_rounds_to_nearest_and_restores_what_was) {
  for (const std::string& isa : gd::kernels::available_isas()) {
    std::fesetround(FE_UPWARD);
    {
      const gd::testing::Mode mode(*gd::kernels::table_of(isa));
      CHECK_AT(!rounds_up(), isa);
    }
    CHECK_AT(std::fegetround() == FE_UPWARD && rounds_up(), isa);
    std::fesetround(FE_TONEAREST);
  }
}

TEST(modes_nest) {
  const uint64_t outer = gd::kernels::enter_float_mode();
  const uint64_t inner = gd::kernels::enter_float_mode();
  gd::kernels::leave_float_mode(inner);
  CHECK(flushes_results<float>());
  gd::kernels::leave_float_mode(outer);
  CHECK(!flushes_results<float>());
}

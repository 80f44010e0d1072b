#include "optim/schedule.hpp"

#include <cmath>

#include "base/check.hpp"
#include "cpp/optim/support.hpp"

using gd::base::ValueError;
using gd::optim::make_schedule;

namespace {

void check_close(double got, double want, const std::string& what) {
  CHECK_AT(std::abs(got - want) <= 1e-14 * std::abs(want) + 1e-300, what, ": ", got, " not ", want);
}

}  // namespace

TEST(schedules_are_their_formulas) {
  const auto constant = make_schedule({{"constant", {}}});
  const auto step = make_schedule({{"step", {7, 0.5}}});
  const auto exponential = make_schedule({{"exponential", {0.97}}});
  const auto cosine = make_schedule({{"cosine", {50, 0.01}}});
  const double pi = std::acos(-1.0);
  for (int t = 0; t <= 50; ++t) {
    const std::string at = gd::base::message("t = ", t);
    CHECK_EQ(constant->rate(0.3, t), 0.3);
    check_close(step->rate(0.3, t), 0.3 * std::pow(0.5, t / 7), "step at " + at);
    check_close(exponential->rate(0.3, t), 0.3 * std::pow(0.97, t), "exponential at " + at);
    check_close(cosine->rate(0.3, t), 0.01 + (0.3 - 0.01) * (1 + std::cos(pi * t / 50)) / 2,
                "cosine at " + at);
  }
  CHECK_EQ(cosine->rate(0.3, 51), 0.01);
  CHECK_EQ(cosine->rate(0.3, int64_t{1} << 60), 0.01);
}

TEST(a_warm_up_hands_over_at_time_0) {
  const auto alone = make_schedule({{"warmup", {4, 0.2}}});
  const auto before = make_schedule({{"warmup", {4, 0.2}}, {"exponential", {0.5}}});
  const double wanted[] = {0.2, 0.4, 0.6, 0.8, 1.0, 1.0};
  for (int t = 0; t < 6; ++t) check_close(alone->rate(1, t), wanted[t], "warm-up");
  for (int t = 0; t < 4; ++t) CHECK_EQ(before->rate(1, t), alone->rate(1, t));
  for (int t = 4; t < 10; ++t) CHECK_EQ(before->rate(1, t), std::pow(0.5, t - 4));
  const auto twice = make_schedule({{"warmup", {2, 0}}, {"warmup", {3, 0.5}}, {"step", {1, 0.1}}});
  CHECK_EQ(twice->rate(1, 0), 0.0);
  CHECK_EQ(twice->rate(1, 2), 0.5);
  CHECK_EQ(twice->rate(1, 6), 0.1);
}

TEST(schedules_refuse_what_they_are_not) {
  CHECK_THROWS(ValueError, make_schedule({}));
  CHECK_THROWS(ValueError, make_schedule({{"linear", {}}}));
  CHECK_THROWS(ValueError, make_schedule({{"step", {7}}}));
  CHECK_THROWS(ValueError, make_schedule({{"constant", {1}}}));
  CHECK_THROWS(ValueError, make_schedule({{"exponential", {0.5}}, {"constant", {}}}));
}

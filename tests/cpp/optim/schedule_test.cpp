#include "optim/schedule.hpp"

#include <cmath>

#include "base/check.hpp"
#include "cpp/optim/support.hpp"

using gd::base::ValueError;
using gd::optim::make_schedule;
using gd::optim::Schedule;
using gd::optim::ScheduleArguments;

namespace {

void check_close(double got, double want, const std::string& what) {
  CHECK_AT(std::abs(got - want) <= 1e-14 * std::abs(want) + 1e-300, what, ": ", got, " not ", want);
}

std::unique_ptr<Schedule> made(const std::string& name, std::vector<double> numbers,
                               std::unique_ptr<Schedule> part = nullptr) {
  ScheduleArguments arguments{std::move(numbers), {}};
  if (part) arguments.parts.push_back(std::move(part));
  return make_schedule(name, std::move(arguments));
}

}  // namespace

TEST(schedules_are_their_formulas) {
  const auto constant = made("constant", {1, 0});
  const auto step = made("step", {7, 0.5});
  const auto exponential = made("exponential", {0.97});
  const auto cosine = made("cosine", {50, 0.01, 0});
  const double pi = std::acos(-1.0);
  for (int t = 0; t <= 50; ++t) {
    const std::string at = gd::base::message("t = ", t);
    CHECK_EQ(constant->value(0.3, t), 0.3);
    check_close(step->value(0.3, t), 0.3 * std::pow(0.5, t / 7), "step at " + at);
    check_close(exponential->value(0.3, t), 0.3 * std::pow(0.97, t), "exponential at " + at);
    check_close(cosine->value(0.3, t), 0.01 + (0.3 - 0.01) * (1 + std::cos(pi * t / 50)) / 2,
                "cosine at " + at);
  }
  CHECK_EQ(cosine->value(0.3, 51), 0.01);
  CHECK_EQ(cosine->value(0.3, int64_t{1} << 60), 0.01);
}

TEST(a_warm_up_hands_over_at_time_0) {
  const auto alone = made("warmup", {4, 0.2});
  const auto before = made("warmup", {4, 0.2}, made("exponential", {0.5}));
  const double wanted[] = {0.2, 0.4, 0.6, 0.8, 1.0, 1.0};
  for (int t = 0; t < 6; ++t) check_close(alone->value(1, t), wanted[t], "warm-up");
  for (int t = 0; t < 4; ++t) CHECK_EQ(before->value(1, t), alone->value(1, t));
  for (int t = 4; t < 10; ++t) CHECK_EQ(before->value(1, t), std::pow(0.5, t - 4));
  const auto twice = made("warmup", {2, 0}, made("warmup", {3, 0.5}, made("step", {1, 0.1})));
  CHECK_EQ(twice->value(1, 0), 0.0);
  CHECK_EQ(twice->value(1, 2), 0.5);
  CHECK_EQ(twice->value(1, 6), 0.1);
}

TEST(parts_are_asked_with_their_own_time) {
  ScheduleArguments sequence{{3, 5}, {}};
  sequence.parts.push_back(made("exponential", {0.5}));
  sequence.parts.push_back(made("linear", {0, 1, 2}));
  sequence.parts.push_back(made("step", {2, 0.1}));
  const auto sequential = make_schedule("sequential", std::move(sequence));
  const double wanted[] = {1, 0.5, 0.25, 0, 0.5, 1, 1, 0.1, 0.1};
  for (int t = 0; t < 9; ++t) check_close(sequential->value(1, t), wanted[t], "sequential");
  ScheduleArguments chain;
  chain.parts.push_back(made("exponential", {0.5}));
  chain.parts.push_back(made("cosine", {4, 0.1, 0}));
  const auto chained = make_schedule("chained", std::move(chain));
  check_close(chained->value(8, 2), 0.1 + (2 - 0.1) / 2, "chained");
  int seen = 0;
  chained->walk([&](Schedule&) { ++seen; });
  CHECK_EQ(seen, 3);
}

TEST(the_largest_times_are_counted_right) {
  const int64_t late = int64_t{1} << 53;
  const auto most = static_cast<double>(late);
  CHECK_EQ(made("cosine_warm_restarts", {1, 3, 0.25})->value(1, 0), 1.0);
  CHECK(made("cosine_warm_restarts", {most, 3, 0.25})->value(1, late) == 1.0);
  CHECK(made("cosine_warm_restarts", {7, 2, 0.25})->value(1, late + late) >= 0.25);
  CHECK_EQ(made("cosine", {most, 0.25, 1})->value(1, late), 0.25);
  CHECK_EQ(made("cosine", {most, 0.25, 1})->value(1, late + late), 1.0);
  CHECK_EQ(made("cyclic", {3, most, most, 1, 1, std::nan("")})->value(1, late), 3.0);
  CHECK_EQ(made("coslog", {most, 50})->value(1, late), 0.0);
  check_close(made("inverse_sqrt", {1})->value(1, late - 1), std::sqrt(1 / most), "inverse_sqrt");
}

TEST(schedules_refuse_what_they_are_not) {
  CHECK_THROWS(ValueError, made("lambda", {}));
  CHECK_THROWS(ValueError, made("step", {7}));
  CHECK_THROWS(ValueError, made("constant", {1}));
  CHECK_THROWS(ValueError, made("exponential", {0.5}, made("constant", {1, 0})));
  CHECK_THROWS(ValueError, made("sequential", {3}, made("constant", {1, 0})));
  CHECK_THROWS(ValueError, made("chained", {}));
  CHECK_THROWS(ValueError, made("piecewise", {0, 1}));
}

#include "optim/schedule.hpp"

#include "base/check.hpp"
#include "optim/schedules/all.hpp"

namespace gd::optim {

using base::fail;
using base::require;
using base::ValueError;

namespace {

template <class Formula>
class Made final : public Schedule {
 public:
  explicit Made(ScheduleArguments arguments) : arguments_(std::move(arguments)) {}
  double value(double base, int64_t t) const override {
    return Formula::value(arguments_, base, t);
  }
  void walk(base::FunctionRef<void(Schedule&)> visitor) override {
    visitor(*this);
    for (const auto& part : arguments_.parts) part->walk(visitor);
  }

 private:
  ScheduleArguments arguments_;
};

template <class Formula>
std::unique_ptr<Schedule> made(ScheduleArguments arguments) {
  const std::string found = base::message("got ", arguments.numbers.size(), " numbers and ",
                                          arguments.parts.size(), " schedules");
  require<ValueError>(Formula::takes(arguments.numbers.size(), arguments.parts.size()),
                      "schedule '", Formula::name, "' takes ", Formula::parameters, ", ", found);
  return std::make_unique<Made<Formula>>(std::move(arguments));
}

}  // namespace

std::unique_ptr<Schedule> make_schedule(const std::string& name, ScheduleArguments arguments) {
#define GD_MAKE(Formula) \
  if (name == schedules::Formula::name) return made<schedules::Formula>(std::move(arguments));
  GD_SCHEDULES(GD_MAKE)
#undef GD_MAKE
  std::string known;
#define GD_TELL(Formula) known += std::string(known.empty() ? "" : ", ") + schedules::Formula::name;
  GD_SCHEDULES(GD_TELL)
#undef GD_TELL
  fail<ValueError>("schedule must be one of ", known, ", got '", name, "'");
}

}  // namespace gd::optim

#include "train/hyper_schedules.hpp"

#include <cmath>
#include <limits>

#include "base/check.hpp"

namespace gd::train {

template <class T>
HyperSchedules<T>::HyperSchedules(optim::Rule<T>& rule, std::vector<HyperSchedule> all)
    : rule_(rule), all_(std::move(all)), next_(all_.size()) {
  for (const HyperSchedule& each : all_) {
    for (const auto& [group, factor] : each.targets) {
      rule_.set_hyper(group, each.index, each.base * factor);
    }
  }
}

template <class T>
double HyperSchedules<T>::value(const HyperSchedule& each, int64_t steps, int64_t epochs,
                                Rate rate) const {
  const int64_t t = each.unit == optim::ScheduleUnit::step ? steps : epochs;
  const double value =
      each.index == 0 ? rate(*each.schedule, t) : each.schedule->value(each.base, t);
  const auto most = static_cast<double>(std::numeric_limits<T>::max());
  for (const auto& [group, factor] : each.targets) {
    base::require<base::ValueError>(
        std::abs(value * factor) <= most && (each.index != 0 || value >= 0), "the schedule of ",
        each.name, " must give a ", each.index == 0 ? "learning rate" : "number", " that is finite",
        each.index == 0 ? " and at least 0" : "", ", got ", value * factor, " at time ", t);
  }
  return value;
}

template <class T>
void HyperSchedules<T>::ask(int64_t steps, int64_t epochs, Rate rate) {
  for (size_t i = 0; i < all_.size(); ++i) next_[i] = value(all_[i], steps, epochs, rate);
}

template <class T>
void HyperSchedules<T>::begin_step(double lr, int64_t step) {
  for (size_t i = 0; i < all_.size(); ++i) {
    for (const auto& [group, factor] : all_[i].targets) {
      const double value = next_[i] * factor;
      // Less than the type's normal numbers: kernels take such numbers for 0.
      const bool is_nothing = std::abs(value) < static_cast<double>(std::numeric_limits<T>::min());
      rule_.set_hyper(group, all_[i].index, is_nothing ? 0.0 : value);
    }
  }
  rule_.begin_step(lr, step);
}

template class HyperSchedules<float>;
template class HyperSchedules<double>;

}  // namespace gd::train

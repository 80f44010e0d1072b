#include <algorithm>

#include "plan/passes/passes.hpp"

namespace gd::plan::passes {

namespace {

// What a step does alone, if it is of that kind; else null.
template <class T>
Pointwise<T>* alone(Step<T>& step, typename Pointwise<T>::Kind kind) {
  return step.alone && step.alone->kind == kind ? &*step.alone : nullptr;
}

}  // namespace

template <class T>
void drops(std::vector<Step<T>>& steps) {
  using Kind = typename Pointwise<T>::Kind;
  for (size_t at = 0; at < steps.size(); ++at) {
    Pointwise<T>* const drop = alone(steps[at], Kind::drop);
    if (drop == nullptr || !drop->in_place()) continue;
    const ValueId gradient = drop->to;
    const auto here = steps.begin() + static_cast<int64_t>(at);
    const auto drawn = std::find_if(steps.begin(), here, [&](Step<T>& step) {
      const Pointwise<T>* const what = alone(step, Kind::drop);
      return what != nullptr && what->layer == drop->layer && !what->in_place();
    });
    if (drawn == here) continue;
    const ValueId left = drawn->alone->to;
    const auto changes = [&](const Step<T>& step) {
      return std::ranges::find(step.writes, left) != step.writes.end();
    };
    if (std::any_of(drawn + 1, here, changes)) continue;
    const auto next = std::find_if(here + 1, steps.end(),
                                   [&](const Step<T>& step) { return step.touches(gradient); });
    Pointwise<T>* const derivative = next == steps.end() ? nullptr : alone(*next, Kind::derivative);
    if (derivative != nullptr && derivative->use.kernel->in_tile &&
        derivative->other == drawn->alone->from) {
      derivative->other = left;
      next->reads = {gradient, left};
      drop->kind = Kind::scale;
      std::swap(steps[at], *next);
    } else {
      drop->kind = Kind::keep;
      drop->other = left;
      steps[at].reads = {gradient, left};
    }
  }
}

template void drops<float>(std::vector<Step<float>>&);
template void drops<double>(std::vector<Step<double>>&);

}  // namespace gd::plan::passes

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
    const auto next = std::find_if(steps.begin() + static_cast<int64_t>(at) + 1, steps.end(),
                                   [&](const Step<T>& step) { return step.touches(gradient); });
    if (next == steps.end()) continue;
    Pointwise<T>* const derivative = alone(*next, Kind::derivative);
    if (derivative == nullptr || !derivative->use.kernel->in_tile) continue;
    const auto drawn = std::find_if(steps.begin(), steps.end(), [&](Step<T>& step) {
      const Pointwise<T>* const what = alone(step, Kind::drop);
      return what != nullptr && what->layer == drop->layer && what->from == derivative->other;
    });
    if (drawn == steps.end()) continue;
    derivative->other = drawn->alone->to;
    next->reads = {gradient, derivative->other};
    drop->kind = Kind::scale;
    std::swap(steps[at], *next);
  }
}

template void drops<float>(std::vector<Step<float>>&);
template void drops<double>(std::vector<Step<double>>&);

}  // namespace gd::plan::passes

#include <algorithm>

#include "plan/passes/passes.hpp"

namespace gd::plan::passes {

namespace {

// What has its place in another's is kept or not as that is.
ValueId root_of(const std::vector<Value>& values, ValueId value) {
  while (values[static_cast<size_t>(value)].over != kNoValue) {
    value = values[static_cast<size_t>(value)].over;
  }
  return value;
}

template <class T>
void keep_less(std::vector<Value>& values, const std::vector<Step<T>>& steps) {
  std::vector<char> kept(values.size());
  for (const Step<T>& step : steps) {
    if (step.phase != Zone::kBackward) continue;
    for (const auto* touched : {&step.reads, &step.writes}) {
      for (const ValueId v : *touched) kept[static_cast<size_t>(root_of(values, v))] = 1;
    }
  }
  for (size_t v = 0; v < values.size(); ++v) {
    if (values[v].is_output) kept[static_cast<size_t>(root_of(values, static_cast<int>(v)))] = 1;
  }
  for (size_t v = 0; v < values.size(); ++v) {
    Value& value = values[v];
    const auto root = static_cast<size_t>(root_of(values, static_cast<int>(v)));
    const bool of_rows = value.rows == 0 && value.pool == Value::Pool::kept;
    if (of_rows && kept[root] == 0) value.pool = Value::Pool::passing;
  }
}

}  // namespace

template <class T>
void prune(std::vector<Value>& values, std::vector<Step<T>>& steps,
           base::FunctionRef<bool(int64_t)> trains) {
  std::vector<char> wanted(values.size());
  for (size_t v = 0; v < values.size(); ++v) wanted[v] = values[v].is_input_gradient ? 1 : 0;
  std::vector<Step<T>> serving;  // last to first
  for (; !steps.empty(); steps.pop_back()) {
    Step<T>& step = steps.back();
    const auto is_wanted = [&](ValueId v) { return wanted[static_cast<size_t>(v)] != 0; };
    const bool serves = step.phase != Zone::kBackward ||
                        std::ranges::any_of(step.parameters_written, trains) ||
                        std::ranges::any_of(step.writes, is_wanted);
    if (!serves) continue;
    for (const ValueId v : step.reads) wanted[static_cast<size_t>(v)] = 1;
    serving.push_back(std::move(step));
  }
  std::ranges::reverse(serving);
  steps = std::move(serving);
  keep_less(values, steps);
}

template void prune<float>(std::vector<Value>&, std::vector<Step<float>>&,
                           base::FunctionRef<bool(int64_t)>);
template void prune<double>(std::vector<Value>&, std::vector<Step<double>>&,
                            base::FunctionRef<bool(int64_t)>);

}  // namespace gd::plan::passes

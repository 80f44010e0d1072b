#include <algorithm>

#include "plan/passes/passes.hpp"

namespace gd::plan::passes {

namespace {

bool has(const std::vector<ValueId>& values, ValueId value) {
  return std::ranges::find(values, value) != values.end();
}

template <class T>
bool touches(const Step<T>& step, ValueId value) {
  return has(step.reads, value) || has(step.writes, value);
}

// The product that the activation at `at` can be the finish of, or -1.
template <class T>
int product_before(const std::vector<Step<T>>& steps, int at) {
  const Pointwise<T>& activation = *steps[static_cast<size_t>(at)].alone;
  const ValueId seen = activation.is_backward ? activation.to : activation.other;
  for (int i = at - 1; i >= 0; --i) {
    const Step<T>& step = steps[static_cast<size_t>(i)];
    if (step.result == seen && !step.finish) {
      // What it reads beside the result must be there already.
      if (!activation.is_backward) return i;
      for (int j = i; j < at; ++j) {
        if (has(steps[static_cast<size_t>(j)].writes, activation.other)) return -1;
      }
      return i;
    }
    if (touches(step, seen)) return -1;
  }
  return -1;
}

}  // namespace

template <class T>
void fuse(std::vector<Step<T>>& steps) {
  for (int at = 0; at < static_cast<int>(steps.size()); ++at) {
    const Step<T>& activation = steps[static_cast<size_t>(at)];
    if (!activation.alone || activation.alone->use.kernel->row_wise) continue;
    const int before = product_before(steps, at);
    if (before < 0) continue;
    Step<T>& product = steps[static_cast<size_t>(before)];
    product.finish = activation.alone;
    if (activation.alone->is_backward) {
      product.reads.push_back(activation.alone->other);
    } else {
      product.writes.push_back(activation.alone->to);
    }
    steps.erase(steps.begin() + at);
    --at;
  }
}

template void fuse<float>(std::vector<Step<float>>&);
template void fuse<double>(std::vector<Step<double>>&);

}  // namespace gd::plan::passes

#include <set>

#include "plan/passes/passes.hpp"

namespace gd::plan::passes {

namespace {

// What was read and written since the workers met, by number: values, or parameters.
template <class Id>
class Since {
 public:
  bool conflicts(const std::vector<Id>& reads, const std::vector<Id>& writes) const {
    for (const Id id : reads) {
      if (written_.contains(id)) return true;
    }
    for (const Id id : writes) {
      if (written_.contains(id) || read_.contains(id)) return true;
    }
    return false;
  }
  void add(const std::vector<Id>& reads, const std::vector<Id>& writes) {
    read_.insert(reads.begin(), reads.end());
    written_.insert(writes.begin(), writes.end());
  }

 private:
  std::set<Id> read_;
  std::set<Id> written_;
};

}  // namespace

template <class T>
void barriers(std::vector<Step<T>>& steps) {
  Since<ValueId> values;
  Since<int64_t> parameters;
  int epoch = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    Step<T>& step = steps[i];
    const bool meets =
        i > 0 && (step.phase != steps[i - 1].phase || values.conflicts(step.reads, step.writes) ||
                  parameters.conflicts(step.parameters_read, step.parameters_written));
    if (i > 0) steps[i - 1].barrier_after = meets;
    if (meets) {
      values = {};
      parameters = {};
      ++epoch;
    }
    step.epoch = epoch;
    values.add(step.reads, step.writes);
    parameters.add(step.parameters_read, step.parameters_written);
  }
  if (!steps.empty()) steps.back().barrier_after = true;
}

template void barriers<float>(std::vector<Step<float>>&);
template void barriers<double>(std::vector<Step<double>>&);

}  // namespace gd::plan::passes

#include <algorithm>
#include <limits>

#include "plan/passes/passes.hpp"

namespace gd::plan::passes {

// When a value is in use, in steps and in epochs.
struct Use {
  int first_step = std::numeric_limits<int>::max();
  int last_read = -1;
  int first_epoch = std::numeric_limits<int>::max();
  int last_epoch = -1;
  bool used() const { return last_epoch >= 0; }
};

namespace {

template <class T>
std::vector<Use> uses_of(const std::vector<Value>& values, const std::vector<Step<T>>& steps) {
  std::vector<Use> uses(values.size());
  int backward = 0;  // the epoch before it begins
  for (int i = 0; i < static_cast<int>(steps.size()); ++i) {
    const Step<T>& step = steps[static_cast<size_t>(i)];
    if (step.phase == Zone::kForward) backward = step.epoch;
    const auto touch = [&](ValueId value, bool reads) {
      Use& use = uses[static_cast<size_t>(value)];
      use.first_step = std::min(use.first_step, i);
      if (reads) use.last_read = i;
      use.first_epoch = std::min(use.first_epoch, step.epoch);
      use.last_epoch = std::max(use.last_epoch, step.epoch);
    };
    for (const ValueId value : step.reads) touch(value, true);
    for (const ValueId value : step.writes) touch(value, false);
  }
  for (size_t v = 0; v < values.size(); ++v) {
    if (values[v].is_output) {
      uses[v].last_read = std::numeric_limits<int>::max();
      uses[v].last_epoch = std::numeric_limits<int>::max();
    }
    if (values[v].is_output_gradient) {
      uses[v].first_epoch = std::min(uses[v].first_epoch, backward);
      uses[v].last_epoch = std::max(uses[v].last_epoch, backward);
    }
  }
  return uses;
}

// Whether the step that writes a value goes on with what lies at `root` once it has.
template <class T>
bool reads_after(const Step<T>& step, ValueId value, ValueId root,
                 const std::vector<ValueId>& place) {
  bool written = step.result == value;
  for (const Pointwise<T>& finish : step.finishes) {
    for (const ValueId read : {finish.from, finish.other}) {
      const bool has_place = read >= 0 && read < static_cast<ValueId>(place.size());
      if (written && has_place && place[static_cast<size_t>(read)] == root) return true;
    }
    written = written || finish.to == value;
  }
  return false;
}

}  // namespace

template <class T>
Slots slots(const std::vector<Value>& values, const std::vector<Step<T>>& steps) {
  std::vector<Use> uses = uses_of(values, steps);
  Slots result;
  result.slot.assign(values.size(), Slots::kNone);
  for (size_t v = 0; v < values.size(); ++v) {
    const Value& value = values[v];
    auto place = static_cast<ValueId>(v);
    if (value.over != kNoValue && uses[v].used()) {
      // Of a value that is already in another's place, all of these must be done with.
      const ValueId root = result.place[static_cast<size_t>(value.over)];
      const Value& below = values[static_cast<size_t>(root)];
      const bool is_free = uses[static_cast<size_t>(value.over)].last_read <= uses[v].first_step &&
                           uses[static_cast<size_t>(root)].last_read <= uses[v].first_step;
      const Step<T>& writer = steps[static_cast<size_t>(uses[v].first_step)];
      if (is_free && !reads_after(writer, static_cast<ValueId>(v), root, result.place) &&
          below.pool == value.pool && below.cols == value.cols)
        place = root;
    }
    result.place.push_back(place);
    if (place == static_cast<ValueId>(v)) continue;
    Use& root = uses[static_cast<size_t>(place)];
    root.last_read = std::max(root.last_read, uses[v].last_read);
    root.last_epoch = std::max(root.last_epoch, uses[v].last_epoch);
  }
  std::vector<ValueId> passing;
  for (size_t v = 0; v < values.size(); ++v) {
    const bool own = result.place[v] == static_cast<ValueId>(v);
    if (own && values[v].pool == Value::Pool::passing && uses[v].used()) {
      passing.push_back(static_cast<ValueId>(v));
    }
  }
  std::ranges::stable_sort(passing, [&](ValueId a, ValueId b) {
    return uses[static_cast<size_t>(a)].first_epoch < uses[static_cast<size_t>(b)].first_epoch;
  });
  std::vector<int> free_from;  // the epoch from which on a slot is free
  for (const ValueId v : passing) {
    const Use& use = uses[static_cast<size_t>(v)];
    size_t slot = 0;
    while (slot < free_from.size() && free_from[slot] >= use.first_epoch) ++slot;
    if (slot == free_from.size()) free_from.push_back(0);
    free_from[slot] = use.last_epoch;
    result.slot[static_cast<size_t>(v)] = static_cast<int>(slot);
  }
  result.slots = static_cast<int>(free_from.size());
  return result;
}

template Slots slots<float>(const std::vector<Value>&, const std::vector<Step<float>>&);
template Slots slots<double>(const std::vector<Value>&, const std::vector<Step<double>>&);

}  // namespace gd::plan::passes

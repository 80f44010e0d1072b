#include <algorithm>

#include "plan/passes/passes.hpp"

namespace gd::plan::passes {

namespace {

constexpr int kNone = -1;

bool has(const std::vector<ValueId>& values, ValueId value) {
  return value != kNoValue && std::ranges::find(values, value) != values.end();
}

// Whether a matmul's register tile does it before it is written.
template <class T>
bool costs_nothing(const Step<T>& step, const Pointwise<T>& what) {
  using Kind = typename Pointwise<T>::Kind;
  if (step.pieces != Pieces::tiles) return true;
  const bool is_activation = what.kind == Kind::activation || what.kind == Kind::derivative;
  return is_activation && what.use.kernel->in_tile && step.finishes.empty();
}

// Whether a step can do it piece by piece. Random words come many columns at a time, more than a
// tile has; and a tile in registers is scaled by a pass sooner than it is written and read again.
template <class T>
bool fits(Pieces pieces, const Pointwise<T>& what) {
  using Kind = typename Pointwise<T>::Kind;
  if (what.needs_whole_rows()) return pieces == Pieces::rows;
  const bool passes =
      what.kind == Kind::drop || what.kind == Kind::scale || what.kind == Kind::keep;
  return pieces != Pieces::tiles || !passes;
}

// The step before `at` that can finish with what stands there, or kNone: that which made what is
// changed, if nobody has seen it since and all else is there already.
template <class T>
int maker_of(const std::vector<Step<T>>& steps, int at, const Pointwise<T>& what) {
  for (int i = at - 1; i >= 0; --i) {
    const Step<T>& step = steps[static_cast<size_t>(i)];
    if (has(step.writes, what.other)) return kNone;
    const bool made = step.result != kNoValue && step.finished() == what.from;
    if (made) {
      const bool meets_itself = what.to != what.from && step.touches(what.to);
      return fits(step.pieces, what) && !meets_itself ? i : kNone;
    }
    if (step.touches(what.from) || step.touches(what.to)) return kNone;
  }
  return kNone;
}

// The step behind `at` that can start with what is done in place there, or kNone.
template <class T>
int taker_of(const std::vector<Step<T>>& steps, int at, const Pointwise<T>& what) {
  if (!what.in_place()) return kNone;
  for (int i = at + 1; i < static_cast<int>(steps.size()); ++i) {
    const Step<T>& step = steps[static_cast<size_t>(i)];
    if (step.takes == what.to) return fits(step.pieces, what) ? i : kNone;
    if (step.touches(what.to) || has(step.writes, what.other)) return kNone;
  }
  return kNone;
}

template <class T>
void touch_more(Step<T>& step, const Pointwise<T>& what) {
  if (what.other != kNoValue) step.reads.push_back(what.other);
  if (!has(step.writes, what.to)) step.writes.push_back(what.to);
}

// Makes what stands at `at` the finish of the step that made what it changes.
template <class T>
bool finishes(std::vector<Step<T>>& steps, int at, bool only_for_nothing) {
  Pointwise<T> what = *steps[static_cast<size_t>(at)].alone;
  int found = maker_of(steps, at, what);
  if (found == kNone && what.kind == Pointwise<T>::Kind::add) {  // either may have been made last
    std::swap(what.from, what.other);
    found = maker_of(steps, at, what);
  }
  if (found == kNone) return false;
  Step<T>& maker = steps[static_cast<size_t>(found)];
  if (only_for_nothing && (maker.alone || !costs_nothing(maker, what))) return false;
  maker.finishes.push_back(what);
  touch_more(maker, what);
  return true;
}

// Makes it the first start of the step that takes what it changes.
template <class T>
bool starts(std::vector<Step<T>>& steps, int at) {
  const Pointwise<T> what = *steps[static_cast<size_t>(at)].alone;
  const int found = taker_of(steps, at, what);
  if (found == kNone) return false;
  Step<T>& taker = steps[static_cast<size_t>(found)];
  taker.starts.insert(taker.starts.begin(), what);
  touch_more(taker, what);
  return true;
}

// Tries every step that passes may join to another, first to last or the other way.
template <class T, class Joins>
void join_all(std::vector<Step<T>>& steps, bool backwards, Joins joins) {
  const auto size = [&] { return static_cast<int>(steps.size()); };
  for (int at = backwards ? size() - 1 : 0; at >= 0 && at < size(); at += backwards ? -1 : 1) {
    if (!steps[static_cast<size_t>(at)].alone || !joins(at)) continue;
    steps.erase(steps.begin() + at);
    if (!backwards) --at;
  }
}

}  // namespace

// First what costs nothing, then what would be done right before a step that takes it, in the end
// what is one more loop over a tile or over rows in cache.
template <class T>
void fuse(std::vector<Step<T>>& steps) {
  join_all(steps, false, [&](int at) { return finishes(steps, at, true); });
  join_all(steps, true, [&](int at) { return starts(steps, at); });
  join_all(steps, false, [&](int at) { return finishes(steps, at, false); });
}

template void fuse<float>(std::vector<Step<float>>&);
template void fuse<double>(std::vector<Step<double>>&);

}  // namespace gd::plan::passes

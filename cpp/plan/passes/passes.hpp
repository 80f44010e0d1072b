#pragma once

// What is done to the steps of a plan between their making and their becoming operations, in this
// order. Each is a file.

#include <vector>

#include "base/function_ref.hpp"
#include "plan/step.hpp"

namespace gd::plan::passes {

// Leaves out the steps backward that lead to no gradient that is wanted: none at a parameter that
// trains, nor at the network's input where the caller asks for that. What then is read in the
// forward pass alone need not be kept.
template <class T>
void prune(std::vector<Value>& values, std::vector<Step<T>>& steps,
           base::FunctionRef<bool(int64_t)> trains);

// What dropout has left tells backward which elements those are: nothing is drawn again. Behind a
// relu it tells where both let a gradient through, which is where it is above 0, so that relu's own
// output need not be kept.
template <class T>
void drops(std::vector<Step<T>>& steps);

// What is done to single elements or rows becomes the finish of the step that made them, if that
// has them in cache and nobody else has seen them, or the start of one that takes them.
template <class T>
void fuse(std::vector<Step<T>>& steps);

// Says where workers wait for each other: before a step that reads what was written since they met,
// or writes what was read or written since. Behind steps of different phases they always do.
template <class T>
void barriers(std::vector<Step<T>>& steps);

// Memory for values, in elements of a row.
struct Slots {
  static constexpr int kNone = -1;
  std::vector<ValueId> place;  // of each value: the value whose memory it has, mostly itself
  std::vector<int> slot;       // of each value in the pool of passing ones
  int slots = 0;
};

// Values share memory where the workers have met between their uses.
template <class T>
Slots slots(const std::vector<Value>& values, const std::vector<Step<T>>& steps);

}  // namespace gd::plan::passes

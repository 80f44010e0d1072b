#pragma once

#include <limits>
#include <string>
#include <vector>

#include "base/check.hpp"

namespace gd::optim {

// Parameters with hyperparameters of their own.
struct Group {
  std::string name;           // in errors
  std::vector<double> hyper;  // in the order of the rule's parameters
  // Where the rate of a step is r, theirs is lr (r / at): very exactly lr where r is `at`.
  double lr = 1;
  double at = 1;
};

inline double rate_of(const Group& group, double lr) { return group.lr * (lr / group.at); }

// ValueError where the group's rate is none that T holds.
template <class T>
void check_rate(const Group& group, double lr) {
  base::require<base::ValueError>(
      rate_of(group, lr) <= static_cast<double>(std::numeric_limits<T>::max()),
      "the learning rate of the group ", group.name, " must be finite, got ", rate_of(group, lr),
      " where that of the others is ", lr);
}

}  // namespace gd::optim

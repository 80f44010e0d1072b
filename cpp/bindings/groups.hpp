#pragma once

// Groups of parameters as Python gives them.

#include <string>
#include <tuple>
#include <vector>

#include "optim/grouped_rule.hpp"

namespace gd::bindings {

// Of each its name, its hyperparameters, and its rate where the trainer's is the last number.
using Groups = std::vector<std::tuple<std::string, std::vector<double>, double, double>>;

inline std::vector<optim::Group> groups_of(const Groups& groups) {
  std::vector<optim::Group> result;
  for (const auto& [name, hyper, lr, at] : groups) result.push_back({name, hyper, lr, at});
  return result;
}

}  // namespace gd::bindings

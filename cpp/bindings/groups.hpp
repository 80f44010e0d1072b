#pragma once

// Groups of parameters as Python gives them.

#include <string>
#include <tuple>
#include <vector>

#include "optim/grouped_rule.hpp"
#include "optim/wrapped_rule.hpp"

namespace gd::bindings {

// Of each its name, its hyperparameters, and its rate where the trainer's is the last number.
using Groups = std::vector<std::tuple<std::string, std::vector<double>, double, double>>;

inline std::vector<optim::Group> groups_of(const Groups& groups) {
  std::vector<optim::Group> result;
  for (const auto& [name, hyper, lr, at] : groups) result.push_back({name, hyper, lr, at});
  return result;
}

// What goes around a rule: of each its name and numbers.
using Wrappers = std::vector<std::pair<std::string, std::vector<double>>>;

inline std::vector<optim::Wrapper> wrappers_of(const Wrappers& wrappers) {
  std::vector<optim::Wrapper> result;
  for (const auto& [name, numbers] : wrappers) result.push_back({name, numbers});
  return result;
}

}  // namespace gd::bindings

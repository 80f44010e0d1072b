#pragma once

// Update rules by their names: formulas of single elements (ops/formulas.hpp), and those of rules/,
// which see more than that.

#include <memory>
#include <string>
#include <vector>

#include "optim/group.hpp"
#include "optim/rule.hpp"

namespace gd::optim {

// All of both sorts.
std::vector<ops::FormulaInfo> rule_formulas();

// One of rules/, with hyperparameters `hyper` or, with groups, each with its own; null where none
// is of that name.
template <class T>
std::unique_ptr<Rule<T>> make_span_rule(const std::string& name, const std::vector<double>& hyper,
                                        std::vector<Group> groups);

}  // namespace gd::optim

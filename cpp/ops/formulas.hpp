#pragma once

// Formulas by name, for rooms that do not see kernels/.

#include <string>
#include <vector>

#include "ops/collective.hpp"

namespace gd::ops {

template <class T>
using ActivationKernel = kernels::ActivationKernel<T>;
template <class T>
using LossKernel = kernels::LossKernel<T>;
template <class T>
using RuleKernel = kernels::RuleKernel<T>;
template <class T>
using RuleSpan = kernels::RuleSpan<T>;
using kernels::kMaxScalars;
using kernels::kMaxStates;
using kernels::RuleNeeds;
using kernels::Targets;

// An unknown name is a ValueError that lists the known ones.
template <class T>
const ActivationKernel<T>& find_activation(const std::string& name);
template <class T>
const LossKernel<T>& find_loss(const std::string& name);
template <class T>
const RuleKernel<T>& find_rule(const std::string& name);

// A formula's name and those of its parameters, in order.
struct FormulaInfo {
  std::string name;
  std::vector<std::string> parameters;
};
std::vector<FormulaInfo> activation_formulas();
std::vector<FormulaInfo> loss_formulas();
std::vector<FormulaInfo> rule_formulas();

// "a,b,c" as its parts; "" has none.
std::vector<std::string> split_names(const char* names);

}  // namespace gd::ops

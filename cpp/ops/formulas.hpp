#pragma once

// Formulas by name, for rooms that do not see kernels/.

#include <iterator>
#include <string>
#include <vector>

#include "base/check.hpp"
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
using kernels::kMaxParameters;
using kernels::kMaxScalars;
using kernels::kMaxStates;
using kernels::RuleNeeds;
using kernels::Targets;

// The parameters of an activation or a loss in a network's type, as many as its formula names.
template <class T>
class FormulaParameters {
 public:
  FormulaParameters() = default;
  explicit FormulaParameters(const std::vector<double>& values) {
    base::require<base::ValueError>(values.size() <= std::size(values_), "a formula has at most ",
                                    kMaxParameters, " parameters, got ", values.size());
    for (size_t i = 0; i < values.size(); ++i) values_[i] = static_cast<T>(values[i]);
  }
  const T* data() const { return values_; }

 private:
  T values_[kMaxParameters] = {};
};

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

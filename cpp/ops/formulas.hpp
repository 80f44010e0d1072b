#pragma once

// Formulas by name, for rooms that do not see kernels/.

#include <iterator>
#include <optional>
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
using kernels::kMaxKept;
using kernels::kMaxParameters;
using kernels::kMaxScalars;
using kernels::kMaxStates;
using kernels::LossArray;
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

// What a loss was given, for a network of so many outputs: its parameters, then the numbers of its
// array, if it takes one. ValueError where there are not as many as there should be.
template <class T>
class LossTerms {
 public:
  LossTerms(const LossKernel<T>& kernel, const std::vector<double>& values, int64_t outputs);

  const T* data() const { return values_.data(); }
  // (outputs,), or null.
  const T* array() const { return array_.empty() ? nullptr : array_.data(); }
  const LossKernel<T>& kernel() const { return kernel_; }

  // What who takes targets from a caller has to know: what they are, how wide they are as given
  // where they are not labels, and the label of samples that do not count.
  Targets targets() const { return targets_; }
  int64_t columns() const { return columns_; }
  std::optional<int64_t> ignore_index() const { return ignore_index_; }

 private:
  const LossKernel<T>& kernel_;
  FormulaParameters<T> values_;
  std::vector<T> array_;
  Targets targets_;
  int64_t columns_;
  std::optional<int64_t> ignore_index_;
};

// An unknown name is a ValueError that lists the known ones.
template <class T>
const ActivationKernel<T>& find_activation(const std::string& name);
template <class T>
const LossKernel<T>& find_loss(const std::string& name);
template <class T>
const RuleKernel<T>& find_rule(const std::string& name);

// A formula's name and those of its parameters, in order, a loss's array last, as `maximize` of a
// rule, which every one takes, see optim::make_rule.
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

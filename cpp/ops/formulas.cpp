#include "ops/formulas.hpp"

#include <sstream>

namespace gd::ops {

namespace {

template <class Kernel, size_t Size>
std::vector<FormulaInfo> infos(const Kernel (&all)[Size]) {
  std::vector<FormulaInfo> result;
  for (const Kernel& kernel : all) result.push_back({kernel.name, split_names(kernel.parameters)});
  return result;
}

const kernels::TypedKernels<double>& reference() { return kernels::kernels().f64; }

}  // namespace

std::vector<std::string> split_names(const char* names) {
  std::vector<std::string> parts;
  std::istringstream text(names);
  for (std::string part; std::getline(text, part, ',');) parts.push_back(part);
  return parts;
}

template <class T>
LossTerms<T>::LossTerms(const LossKernel<T>& kernel, const std::vector<double>& values,
                        int64_t outputs)
    : kernel_(kernel), targets_(kernel.targets), columns_(outputs) {
  using base::require;
  using base::ValueError;
  const std::vector<std::string> names = split_names(kernel.parameters);
  const auto count = static_cast<ptrdiff_t>(names.size());
  const auto given = static_cast<int64_t>(values.size()) - count;
  require<ValueError>(given == 0 || (given > 0 && kernel.array != LossArray::none), "loss '",
                      kernel.name, "' takes ", count, " parameters, got ", values.size());
  values_ = FormulaParameters<T>({values.begin(), values.begin() + count});
  const int any_if = kernel.any_targets_if;
  if (any_if >= 0 && values[static_cast<size_t>(any_if)] != 0) targets_ = Targets::any;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == "ignore_index") ignore_index_ = static_cast<int64_t>(values[i]);
  }
  const std::vector<double> array(values.begin() + count, values.end());
  if (kernel.array == LossArray::outputs && given > 0) {
    const bool labels = kernel.targets == Targets::categories;
    require<ValueError>(given == outputs || (given == 1 && !labels), kernel.array_name,
                        labels ? " must have one weight for each of " : " must be one number or ",
                        outputs, labels ? " classes, got " : ", as many as there are outputs, got ",
                        given);
    for (int64_t i = 0; i < outputs; ++i) {
      array_.push_back(static_cast<T>(array[static_cast<size_t>(given == 1 ? 0 : i)]));
    }
  }
  const int64_t parts = kernel.parts != 0 ? kernel.parts : given > 0 ? given : 1;
  require<ValueError>(outputs % parts == 0, "loss '", kernel.name, "' with ", parts,
                      " outputs for each column of the targets needs a network whose outputs are "
                      "a multiple of that, got ",
                      outputs);
  columns_ = outputs / parts;
  if (kernel.array == LossArray::parts && given > 0) {
    for (const double value : array) {
      array_.insert(array_.end(), static_cast<size_t>(columns_), static_cast<T>(value));
    }
  }
}

template class LossTerms<float>;
template class LossTerms<double>;

template <class T>
const ActivationKernel<T>& find_activation(const std::string& name) {
  return kernels::kernels().of<T>().activations[kernels::activation_index(name)];
}
template <class T>
const LossKernel<T>& find_loss(const std::string& name) {
  return kernels::kernels().of<T>().losses[kernels::loss_index(name)];
}
template <class T>
const RuleKernel<T>& find_rule(const std::string& name) {
  return kernels::kernels().of<T>().rules[kernels::rule_index(name)];
}

std::vector<FormulaInfo> activation_formulas() { return infos(reference().activations); }
std::vector<FormulaInfo> loss_formulas() {
  std::vector<FormulaInfo> result = infos(reference().losses);
  for (size_t i = 0; i < result.size(); ++i) {
    const std::string array = reference().losses[i].array_name;
    if (!array.empty()) result[i].parameters.push_back(array);
  }
  return result;
}
std::vector<FormulaInfo> rule_formulas() {
  std::vector<FormulaInfo> result = infos(reference().rules);
  for (FormulaInfo& rule : result) rule.parameters.push_back("maximize");
  return result;
}

template const ActivationKernel<float>& find_activation<float>(const std::string&);
template const ActivationKernel<double>& find_activation<double>(const std::string&);
template const LossKernel<float>& find_loss<float>(const std::string&);
template const LossKernel<double>& find_loss<double>(const std::string&);
template const RuleKernel<float>& find_rule<float>(const std::string&);
template const RuleKernel<double>& find_rule<double>(const std::string&);

}  // namespace gd::ops

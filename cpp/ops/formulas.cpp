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
std::vector<FormulaInfo> loss_formulas() { return infos(reference().losses); }
std::vector<FormulaInfo> rule_formulas() { return infos(reference().rules); }

template const ActivationKernel<float>& find_activation<float>(const std::string&);
template const ActivationKernel<double>& find_activation<double>(const std::string&);
template const LossKernel<float>& find_loss<float>(const std::string&);
template const LossKernel<double>& find_loss<double>(const std::string&);
template const RuleKernel<float>& find_rule<float>(const std::string&);
template const RuleKernel<double>& find_rule<double>(const std::string&);

}  // namespace gd::ops

#include "optim/registry.hpp"

#include <algorithm>

#include "optim/rules/all.hpp"

namespace gd::optim {

namespace {

template <class T, class F>
std::unique_ptr<Rule<T>> make(std::vector<Group> groups) {
  return std::make_unique<typename F::template rule<T>>(std::move(groups));
}

template <class T>
struct SpanRuleKind {
  const char* name;
  const char* parameters;
  std::unique_ptr<Rule<T>> (*make)(std::vector<Group> groups);
};

template <class T>
constexpr SpanRuleKind<T> kRules[] = {
#define GD_RULE(rule) {rules::rule::name, rules::rule::parameters, make<T, rules::rule>},
    GD_SPAN_RULES(GD_RULE)
#undef GD_RULE
};

}  // namespace

std::vector<ops::FormulaInfo> rule_formulas() {
  std::vector<ops::FormulaInfo> all = ops::rule_formulas();
  for (const auto& rule : kRules<double>) {
    all.push_back({rule.name, ops::split_names(rule.parameters)});
    all.back().parameters.emplace_back("maximize");
  }
  std::ranges::sort(all, {}, &ops::FormulaInfo::name);
  return all;
}

template <class T>
std::unique_ptr<Rule<T>> make_span_rule(const std::string& name, const std::vector<double>& hyper,
                                        std::vector<Group> groups) {
  for (const auto& rule : kRules<T>) {
    if (name != rule.name) continue;
    if (groups.empty()) groups = {{"of all", hyper, 1, 1}};
    return rule.make(std::move(groups));
  }
  return nullptr;
}

template std::unique_ptr<Rule<float>> make_span_rule(const std::string&, const std::vector<double>&,
                                                     std::vector<Group>);
template std::unique_ptr<Rule<double>> make_span_rule(const std::string&,
                                                      const std::vector<double>&,
                                                      std::vector<Group>);

}  // namespace gd::optim

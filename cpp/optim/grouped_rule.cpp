#include "optim/grouped_rule.hpp"

#include <algorithm>

#include "optim/elementwise_rule.hpp"
#include "optim/maximizing_rule.hpp"
#include "optim/registry.hpp"

namespace gd::optim {

namespace {

// Elements that a worker takes at a time, as in ops/elementwise.cpp.
constexpr int64_t kGrain = 4096;

// Calls f(span, begin, end) for what each span has of [begin, end), in order.
template <class F>
void for_spans(std::span<const ParameterSpan> spans, int64_t begin, int64_t end, F&& f) {
  const auto ends_before = [](const ParameterSpan& span, int64_t at) {
    return span.offset + span.size() <= at;
  };
  auto span = std::lower_bound(spans.begin(), spans.end(), begin, ends_before);
  for (; span != spans.end() && span->offset < end; ++span) {
    f(*span, std::max(begin, span->offset), std::min(end, span->offset + span->size()));
  }
}

template <class T>
std::unique_ptr<Rule<T>> make_one(const std::string& name, std::vector<double> hyper) {
  const size_t count = ops::split_names(ops::find_rule<T>(name).parameters).size();
  if (hyper.size() != count + 1) return std::make_unique<ElementwiseRule<T>>(name, hyper);
  const bool maximizes = hyper.back() != 0;
  hyper.pop_back();
  auto rule = std::make_unique<ElementwiseRule<T>>(name, std::move(hyper));
  if (!maximizes) return rule;
  return std::make_unique<MaximizingRule<T>>(std::move(rule));
}

}  // namespace

template <class T>
GroupedRule<T>::GroupedRule(const std::string& name, std::vector<Group> groups)
    : groups_(std::move(groups)), own_rates_(groups_.size(), -1.0) {
  for (const Group& group : groups_) {
    rules_.push_back(make_one<T>(name, group.hyper));
    states_ = std::max(states_, rules_.back()->states());
  }
}

template <class T>
void GroupedRule<T>::begin_step(double lr, int64_t step) {
  for (size_t i = 0; i < groups_.size(); ++i) check_rate<T>(groups_[i], of_step(i, lr));
  for (size_t i = 0; i < groups_.size(); ++i) {
    rules_[i]->begin_step(rate_of(groups_[i], of_step(i, lr)), step);
  }
}

template <class T>
void GroupedRule<T>::set_hyper(int group, int index, double value) {
  const auto i = static_cast<size_t>(group);
  if (index == 0) {
    own_rates_.at(i) = value;
  } else {
    rules_.at(i)->set_hyper(0, index, value);
  }
}

template <class T>
void GroupedRule<T>::update(ops::Worker& worker, ops::TileQueue& queue,
                            const UpdateInput<T>& input) {
  const int64_t size = ops::extents_end(input.extents);
  queue.for_each(worker, (size + kGrain - 1) / kGrain, [&](int64_t piece) {
    const int64_t begin = piece * kGrain;
    const int64_t end = std::min(begin + kGrain, size);
    update_piece(input, begin, {input.gradients + begin, static_cast<size_t>(end - begin)});
  });
}

template <class T>
void GroupedRule<T>::update_piece(const UpdateInput<T>& input, int64_t begin,
                                  std::span<const T> gradients) {
  const int64_t end = begin + static_cast<int64_t>(gradients.size());
  for_spans(input.spans, begin, end, [&](const ParameterSpan& span, int64_t first, int64_t last) {
    const auto from = static_cast<size_t>(first - begin);
    rules_[static_cast<size_t>(span.group)]->update_piece(
        input, first, gradients.subspan(from, static_cast<size_t>(last - first)));
  });
}

template <class T>
std::vector<double> GroupedRule<T>::kept() const {
  std::vector<double> all;
  for (const auto& rule : rules_) {
    const std::vector<double> own = rule->kept();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

template <class T>
void GroupedRule<T>::set_kept(std::span<const double> kept) {
  const size_t count = this->kept().size();
  base::require<base::ValueError>(kept.size() == count, "the update rules of ", rules_.size(),
                                  " groups keep ", count, " numbers, got ", kept.size());
  for (const auto& rule : rules_) {
    const size_t own = rule->kept().size();
    rule->set_kept(kept.first(own));
    kept = kept.subspan(own);
  }
}

template <class T>
bool GroupedRule<T>::averages() const {
  return std::ranges::any_of(rules_, [](const auto& rule) { return rule->averages(); });
}

template <class T>
void GroupedRule<T>::evaluation(const UpdateInput<T>& input, int64_t begin, std::span<T> to) const {
  std::copy_n(input.weights + begin, to.size(), to.data());
  const int64_t end = begin + static_cast<int64_t>(to.size());
  for_spans(input.spans, begin, end, [&](const ParameterSpan& span, int64_t first, int64_t last) {
    rules_[static_cast<size_t>(span.group)]->evaluation(
        input, first,
        to.subspan(static_cast<size_t>(first - begin), static_cast<size_t>(last - first)));
  });
}

template <class T>
std::unique_ptr<Rule<T>> make_rule(const std::string& name, const std::vector<double>& hyper,
                                   std::vector<Group> groups) {
  if (auto rule = make_span_rule<T>(name, hyper, groups)) return rule;
  if (groups.empty()) return make_one<T>(name, hyper);
  return std::make_unique<GroupedRule<T>>(name, std::move(groups));
}

template std::unique_ptr<Rule<float>> make_rule(const std::string&, const std::vector<double>&,
                                                std::vector<Group>);
template std::unique_ptr<Rule<double>> make_rule(const std::string&, const std::vector<double>&,
                                                 std::vector<Group>);
template class GroupedRule<float>;
template class GroupedRule<double>;

}  // namespace gd::optim

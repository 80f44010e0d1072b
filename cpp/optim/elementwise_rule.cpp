#include "optim/elementwise_rule.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "ops/elementwise.hpp"

namespace gd::optim {

using base::require;
using base::ValueError;

template <class T>
ElementwiseRule<T>::ElementwiseRule(const std::string& name, std::vector<double> hyper)
    : kernel_(ops::find_rule<T>(name)), hyper_(std::move(hyper)) {
  const auto names = ops::split_names(kernel_.parameters);
  require<ValueError>(hyper_.size() == names.size(), "update rule '", name, "' takes ",
                      names.size(), " hyperparameters, got ", hyper_.size());
  for (size_t i = 0; i < names.size(); ++i) {
    base::representable<T>(hyper_[i], names[i]);
  }
  variant_ = kernel_.variant(hyper_.data());
  states_ = kernel_.states(hyper_.data());
}

template <class T>
void ElementwiseRule<T>::begin_step(double lr, int64_t step) {
  double scalars[ops::kMaxScalars] = {};
  kernel_.prepare(hyper_.data(), lr, step, kept_, scalars);
  for (int i = 0; i < ops::kMaxScalars; ++i) scalars_[i] = static_cast<T>(scalars[i]);
}

template <class T>
void ElementwiseRule<T>::update(ops::Worker& worker, ops::TileQueue& queue,
                                const UpdateInput<T>& input) {
  ops::RuleSpan<T> span{};
  span.weights = input.weights;
  span.gradients = input.gradients;
  for (int i = 0; i < states(); ++i) span.states[i] = input.states[i];
  span.scalars = scalars_;
  ops::update(worker, queue, kernel_, variant_, span, input.extents);
}

template <class T>
void ElementwiseRule<T>::update_piece(const UpdateInput<T>& input, int64_t begin,
                                      std::span<const T> gradients) {
  ops::RuleSpan<T> span{};
  span.size = static_cast<int64_t>(gradients.size());
  span.weights = input.weights + begin;
  span.gradients = gradients.data();
  for (int i = 0; i < states(); ++i) span.states[i] = input.states[i] + begin;
  span.scalars = scalars_;
  kernel_.update[variant_](span);
}

template <class T>
void ElementwiseRule<T>::set_kept(std::span<const double> kept) {
  const auto count = static_cast<size_t>(kernel_.kept);
  require<ValueError>(kept.size() == count, "update rule '", kernel_.name, "' keeps ", count,
                      " numbers, got ", kept.size());
  std::ranges::copy(kept, kept_);
}

// Of two roundings, so that no compiler and no instruction set has a choice.
template <class T>
void ElementwiseRule<T>::evaluation(const UpdateInput<T>& input, int64_t begin,
                                    std::span<T> to) const {
  const T* const weights = input.weights + begin;
  if (kernel_.evaluation == nullptr) {
    std::copy_n(weights, to.size(), to.data());
    return;
  }
  const auto share = static_cast<T>(kernel_.evaluation(hyper_.data()));
  const T* const state = input.states[0] + begin;
  for (size_t i = 0; i < to.size(); ++i) to[i] = weights[i] + share * state[i];
}

template class ElementwiseRule<float>;
template class ElementwiseRule<double>;

}  // namespace gd::optim

#include "optim/maximizing_rule.hpp"

#include <algorithm>
#include <functional>

#include "base/aligned_buffer.hpp"

namespace gd::optim {

namespace {

constexpr size_t kAtOnce = 1024;  // elements negated at a time: they stay in the cache

}  // namespace

template <class T>
MaximizingRule<T>::MaximizingRule(std::unique_ptr<Rule<T>> rule) : rule_(std::move(rule)) {
  base::require<base::ValueError>(rule_->needs() == RuleNeeds::elementwise,
                                  "only an elementwise update rule can be turned round");
}

template <class T>
void MaximizingRule<T>::update(ops::Worker& worker, ops::TileQueue& queue,
                               const UpdateInput<T>& input) {
  constexpr int64_t kPiece = 4096;  // elements that a worker takes at a time
  const int64_t size = ops::extents_end(input.extents);
  queue.for_each(worker, (size + kPiece - 1) / kPiece, [&](int64_t piece) {
    const parallel::Range range{piece * kPiece, std::min((piece + 1) * kPiece, size)};
    ops::for_extents(input.extents, range, [&](parallel::Range run) {
      update_piece(input, run.begin,
                   {input.gradients + run.begin, static_cast<size_t>(run.size())});
    });
  });
}

template <class T>
void MaximizingRule<T>::update_piece(const UpdateInput<T>& input, int64_t begin,
                                     std::span<const T> gradients) {
  alignas(base::kAlignment) T negated[kAtOnce];
  for (size_t done = 0; done < gradients.size(); done += kAtOnce) {
    const auto some = gradients.subspan(done, std::min(kAtOnce, gradients.size() - done));
    std::ranges::transform(some, negated, std::negate<T>());
    rule_->update_piece(input, begin + static_cast<int64_t>(done), {negated, some.size()});
  }
}

template class MaximizingRule<float>;
template class MaximizingRule<double>;

}  // namespace gd::optim

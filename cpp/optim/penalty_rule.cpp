#include "optim/penalty_rule.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace gd::optim {

namespace {

using base::require;
using base::ValueError;
using parallel::Range;

constexpr int64_t kPenaltyPiece =
    1024;  // elements that a rule is given at a time: they stay in the cache
constexpr size_t kPenaltyNumbers = 4;  // of a group

}  // namespace

template <class T>
PenaltyRule<T>::PenaltyRule(std::unique_ptr<Rule<T>> inner, const std::vector<double>& numbers)
    : WrappedRule<T>(std::move(inner)) {
  require<ValueError>(!numbers.empty() && numbers.size() % kPenaltyNumbers == 0, "a penalty takes ",
                      kPenaltyNumbers, " numbers of each group, got ", numbers.size());
  for (size_t i = 0; i < numbers.size(); i += kPenaltyNumbers) {
    const T sign = numbers[i + 3] < 0 ? T(-1) : T(1);
    shares_.push_back({sign * base::representable<T>(numbers[i], "l1"),
                       sign * base::representable<T>(numbers[i + 1], "l2"), numbers[i + 2] != 0});
  }
}

template <class T>
int64_t PenaltyRule<T>::room_for(std::span<const ParameterSpan> spans) {
  int64_t sum = 0;
  int64_t end = 0;
  for (const ParameterSpan& span : spans) {
    sum += base::padded<T>(span.size());
    end = std::max(end, span.offset + span.size());
  }
  return std::max(sum, end);
}

template <class T>
RuleMemory PenaltyRule<T>::memory(std::span<const ParameterSpan> spans, int workers) const {
  RuleMemory memory = WrappedRule<T>::memory(spans, workers);
  if (this->needs() != RuleNeeds::elementwise) memory.scratch += room_for(spans);
  return memory;
}

template <class T>
void PenaltyRule<T>::prepare(std::span<const ParameterSpan> spans, int workers) {
  WrappedRule<T>::prepare(spans, workers);
  if (this->needs() == RuleNeeds::elementwise || penalized_.size() > 0) return;
  penalized_ = base::AlignedBuffer<T>(room_for(spans));
  places_.resize(spans.size());
}

template <class T>
void PenaltyRule<T>::penalize(const UpdateInput<T>& input, int64_t begin, int64_t size,
                              const T* gradients, T* to) const {
  std::copy_n(gradients, size, to);
  const auto ends_before = [](const ParameterSpan& span, int64_t at) {
    return span.offset + span.size() <= at;
  };
  const int64_t end = begin + size;
  auto span = std::lower_bound(input.spans.begin(), input.spans.end(), begin, ends_before);
  for (; span != input.spans.end() && span->offset < end; ++span) {
    const Share& share = shares_[static_cast<size_t>(span->group)];
    if (!share.is_of(*span)) continue;
    const int64_t last = std::min(end, span->offset + span->size());
    for (int64_t i = std::max(begin, span->offset); i < last; ++i) {
      const T w = input.weights[i];
      const T slope = w > 0 ? share.l1 : w < 0 ? -share.l1 : T(0);
      to[i - begin] += share.l2 * w + slope;
    }
  }
}

template <class T>
void PenaltyRule<T>::update_piece(const UpdateInput<T>& input, int64_t begin,
                                  std::span<const T> gradients) {
  alignas(base::kAlignment) T changed[kPenaltyPiece];
  const auto all = static_cast<int64_t>(gradients.size());
  for (int64_t done = 0; done < all; done += kPenaltyPiece) {
    const int64_t size = std::min(kPenaltyPiece, all - done);
    penalize(input, begin + done, size, gradients.data() + done, changed);
    this->inner().update_piece(input, begin + done, {changed, static_cast<size_t>(size)});
  }
}

template <class T>
void PenaltyRule<T>::update(ops::Worker& worker, ops::TileQueue& queue,
                            const UpdateInput<T>& input) {
  if (this->needs() == RuleNeeds::elementwise) {
    return WrappedRule<T>::update(worker, queue, input);
  }
  UpdateInput<T> changed = input;
  if (input.places == nullptr) {
    changed.gradients = penalized_.data();
    this->for_runs(worker, this->queue(0), input, [&](const UpdateInput<T>& at, Range run) {
      penalize(at, run.begin, run.size(), at.gradients + run.begin, penalized_.data() + run.begin);
    });
  } else {
    changed.places = places_.data();
    const auto spans = static_cast<int64_t>(input.spans.size());
    this->queue(0).for_each(worker, spans, [&](int64_t index) {
      const auto s = static_cast<size_t>(index);
      T* to = penalized_.data();
      for (size_t k = 0; k < s; ++k) to += base::padded<T>(input.spans[k].size());
      SpanPlace<T>& place = places_[s] = input.places[s];
      UpdateInput<T> one;
      one.spans = input.spans.subspan(s, 1);
      one.weights = place.weights;
      penalize(one, 0, one.spans.front().size(), place.gradients, to);
      place.gradients = to;
    });
  }
  worker.barrier();
  this->inner().update(worker, queue, changed);
}

template class PenaltyRule<float>;
template class PenaltyRule<double>;

}  // namespace gd::optim

#pragma once

// Rules that need norms: passes over elements, of which each knows what those before it have summed
// up over the whole span.

#include <algorithm>
#include <array>
#include <vector>

#include "ops/elementwise.hpp"
#include "optim/span_rule.hpp"

namespace gd::optim {

// Elements of one span that a pass takes at a time. Where a span is cut is given by its size alone.
inline constexpr int64_t kPiece = 1024;

template <class T>
struct Piece {
  int64_t size = 0;
  T* w = nullptr;
  const T* g = nullptr;
  T* const* state = nullptr;
  const ParameterSpan* span = nullptr;
  // Of the span: what the pass before this one has summed up, and that before it, ...
  const double* sums = nullptr;
  T sign = 1;  // of the gradients, which a pass multiplies
};

// x[0]^2 + x[1]^2 + ..., as a term of a span's sum.
template <class T>
double squares(const T* x, int64_t size) {
  return static_cast<double>(ops::sum_squares<T>({x, static_cast<size_t>(size)}));
}

// A formula F of rules/ as a rule. F has
// - name, parameters, as a formula of kernels has; lr first;
// - passes, how many; sums, the most that a pass makes;
// - states(setting), how many arrays;
// - pass(pass, setting, piece, sums), which reads and writes a piece's elements and gives its terms
//   of the sums. Those of pass p are piece.sums[p * F::sums + k] to the passes after it.
// - where steps go on from numbers that belong to no parameter: kept, how many, start(setting,
//   kept), and between(pass, settings, totals, kept), by one worker after a pass, with the sums
//   over all spans. Then `pass` gets kept as its last argument.
template <class T, class F>
class PassRule : public SpanRule<T> {
 public:
  explicit PassRule(std::vector<Group> groups)
      : SpanRule<T>(F::name, F::parameters, std::move(groups)),
        states_(this->most_states([](const StepSetting& s) { return F::states(s); })) {
    if constexpr (kKept > 0) F::start(this->settings().front(), kept_);
  }

  RuleNeeds needs() const override { return RuleNeeds::norm; }
  int states() const override { return states_; }

  std::vector<double> kept() const override { return {kept_, kept_ + kKept}; }
  void set_kept(std::span<const double> kept) override {
    base::require<base::ValueError>(kept.size() == kKept, "update rule '", F::name, "' keeps ",
                                    kKept, " numbers, got ", kept.size());
    std::ranges::copy(kept, kept_);
  }

  RuleMemory memory(std::span<const ParameterSpan> spans, int) const override {
    constexpr auto each = static_cast<int64_t>(sizeof(double) / sizeof(T));
    int64_t pieces = 0;
    for (const ParameterSpan& span : spans) pieces += pieces_of(span);
    const auto all = static_cast<int64_t>(spans.size());
    return {0, each * (pieces * F::sums + all * F::sums * F::passes)};
  }

  void prepare(std::span<const ParameterSpan> spans, int) override {
    first_.assign(1, 0);
    for (const ParameterSpan& span : spans) first_.push_back(first_.back() + pieces_of(span));
    terms_.resize(static_cast<size_t>(first_.back() * F::sums));
    sums_.resize(spans.size() * kSumsOfSpan);
  }

  void update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) override {
    for (int pass = 0; pass < F::passes; ++pass) {
      queue.for_each(worker, first_.back(), [&](int64_t piece) { run(pass, piece, input); });
      if (pass + 1 == F::passes) return;
      worker.barrier();
      if (worker.index() == 0) {
        add_up(pass);
        between(pass);
        queue.reset();
      }
      worker.barrier();
    }
  }

 private:
  static constexpr size_t kSumsOfSpan = F::passes * F::sums;
  static constexpr int kKept = [] {
    if constexpr (requires { F::kept; }) return F::kept;
    return 0;
  }();

  static int64_t pieces_of(const ParameterSpan& span) {
    return (span.size() + kPiece - 1) / kPiece;
  }

  void run(int pass, int64_t index, const UpdateInput<T>& input) {
    const auto after = std::upper_bound(first_.begin(), first_.end(), index);
    const auto at = static_cast<size_t>(after - first_.begin()) - 1;
    const ParameterSpan& span = input.spans[at];
    SpanPlace<T> place = input.place(at, states_);
    const int64_t begin = (index - first_[at]) * kPiece;
    for (T*& state : place.states) {
      if (state != nullptr) state += begin;
    }
    const StepSetting& setting = this->setting(span);
    const Piece<T> piece{std::min(kPiece, span.size() - begin),
                         place.weights + begin,
                         place.gradients + begin,
                         place.states,
                         &span,
                         sums_.data() + at * kSumsOfSpan,
                         static_cast<T>(setting.sign)};
    double* const terms = terms_.data() + index * F::sums;
    if constexpr (kKept > 0) {
      std::fill_n(terms, F::sums, 0.0);
      F::pass(pass, setting, piece, terms, static_cast<const double*>(kept_));
    } else {
      F::pass(pass, setting, piece, terms);
    }
  }

  void between([[maybe_unused]] int pass) {
    if constexpr (kKept > 0) {
      double totals[F::sums] = {};
      for (size_t span = 0; span + 1 < first_.size(); ++span) {
        const auto own = span * kSumsOfSpan + static_cast<size_t>(pass) * F::sums;
        for (size_t k = 0; k < F::sums; ++k) totals[k] += sums_[own + k];
      }
      F::between(pass, this->settings(), totals, kept_);
    }
  }

  // In the order of the pieces, whoever made them.
  void add_up(int pass) {
    for (size_t span = 0; span + 1 < first_.size(); ++span) {
      double* const sums = sums_.data() + span * kSumsOfSpan + static_cast<size_t>(pass) * F::sums;
      std::fill_n(sums, F::sums, 0.0);
      for (int64_t piece = first_[span]; piece < first_[span + 1]; ++piece) {
        for (int k = 0; k < F::sums; ++k)
          sums[k] += terms_[static_cast<size_t>(piece * F::sums + k)];
      }
    }
  }

  int states_;
  double kept_[kKept + 1] = {};
  std::vector<int64_t> first_;  // pieces of the spans before
  std::vector<double> terms_;   // of each piece
  std::vector<double> sums_;    // of each span, those of the first pass, then the next
};

}  // namespace gd::optim

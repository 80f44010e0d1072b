#pragma once

#include <vector>

#include "optim/wrapped_rule.hpp"

namespace gd::optim {

// An elastic net: the rule within is given g + l1 sign(w) + l2 w. Of each group there are four
// numbers: l1, l2, whether only weights are meant and no biases or other vectors, and the sign of
// it all, -1 under a rule that goes up. No gradient is changed: who made it may look at it again.
template <class T>
class PenaltyRule final : public WrappedRule<T> {
 public:
  PenaltyRule(std::unique_ptr<Rule<T>> inner, const std::vector<double>& numbers);

  RuleMemory memory(std::span<const ParameterSpan> spans, int workers) const override;
  void prepare(std::span<const ParameterSpan> spans, int workers) override;
  void update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) override;
  void update_piece(const UpdateInput<T>& input, int64_t begin,
                    std::span<const T> gradients) override;

 protected:
  int own_states() const override { return 0; }
  void begin(int64_t) override {}
  void after(const UpdateInput<T>&, parallel::Range) override {}

 private:
  struct Share {
    T l1;
    T l2;
    bool weights_only;
    bool is_of(const ParameterSpan& span) const {
      return (l1 != 0 || l2 != 0) && (!weights_only || span.kind == SpanKind::weight);
    }
  };
  // Elements of a buffer that holds gradients of all spans, however they lie.
  static int64_t room_for(std::span<const ParameterSpan> spans);
  // `to` gets the gradients of [begin, begin + size) with the penalty of the spans there.
  void penalize(const UpdateInput<T>& input, int64_t begin, int64_t size, const T* gradients,
                T* to) const;

  std::vector<Share> shares_;         // of each group
  base::AlignedBuffer<T> penalized_;  // gradients, where the rule within is not elementwise
  std::vector<SpanPlace<T>> places_;  // the same for arrays in no common buffer
};

}  // namespace gd::optim

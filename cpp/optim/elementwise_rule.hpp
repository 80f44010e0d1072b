#pragma once

#include <memory>
#include <string>
#include <vector>

#include "optim/rule.hpp"

namespace gd::optim {

// A rule from kernels' formulas: one pass over the flat buffers. `hyper` in the order of the
// formula's parameters; a wrong number of them or one that is not finite is a ValueError.
template <class T>
class ElementwiseRule final : public Rule<T> {
 public:
  ElementwiseRule(const std::string& name, std::vector<double> hyper);

  RuleNeeds needs() const override { return RuleNeeds::elementwise; }
  int states() const override { return states_; }
  void begin_step(double lr, int64_t step) override;
  void update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) override;
  void update_piece(const UpdateInput<T>& input, int64_t begin,
                    std::span<const T> gradients) override;
  std::vector<double> kept() const override { return {kept_, kept_ + kernel_.kept}; }
  void set_kept(std::span<const double> kept) override;
  bool averages() const override { return kernel_.evaluation != nullptr; }
  void evaluation(const UpdateInput<T>& input, int64_t begin, std::span<T> to) const override;

 private:
  const ops::RuleKernel<T>& kernel_;
  std::vector<double> hyper_;
  int variant_ = 0;
  int states_ = 0;
  T scalars_[ops::kMaxScalars] = {};
  double kept_[ops::kMaxKept] = {};
};

}  // namespace gd::optim

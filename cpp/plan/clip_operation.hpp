#pragma once

#include <span>

#include "plan/operation.hpp"

namespace gd::plan {

// Scales the whole gradient so that its norm is at most max_norm.
template <class T>
class Clip final : public Operation<T> {
 public:
  Clip(std::span<T> gradients, double max_norm, int max_workers);
  void reset() override { state_.reset(); }
  bool meets(const Batch<T>& /*batch*/, int /*workers*/) const override { return true; }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  std::span<T> gradients_;
  double max_norm_;
  ops::ClipState state_;
};

}  // namespace gd::plan

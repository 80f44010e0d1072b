#pragma once

#include "plan/operation.hpp"

namespace gd::plan {

// Scales the whole gradient, in a flat buffer, so that its norm is at most max_norm.
template <class T>
class Clip final : public Operation<T> {
 public:
  Clip(T* gradients, const ops::Seen& seen, double max_norm, int max_workers);
  void reset() override { state_.reset(); }
  bool meets(const Batch<T>& /*batch*/, int /*workers*/) const override { return true; }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;

  T* gradients_;
  ops::Seen seen_;
  double max_norm_;
  ops::ClipState state_;
};

}  // namespace gd::plan

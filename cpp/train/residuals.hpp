#pragma once

#include <memory>
#include <vector>

#include "data/dataset.hpp"
#include "nn/network.hpp"
#include "optim/solvers/solver.hpp"
#include "plan/plan.hpp"

namespace gd::train {

// mse as a sum of squares: of sample i and output j, r = sqrt(w_i / (sum(w) outputs)) (y_ij -
// t_ij), row after row. Derivatives are taken one residual at a time, by one worker alone, so that
// any kind of layer whose rows do not see each other has them.
template <class T>
class Residuals final : public optim::Squares<T> {
 public:
  explicit Residuals(nn::Network<T>& network) : network_(network) {}

  // For data that outlive the calls of fill, on that many threads at most.
  void take(const data::Dataset<T>& data, double weight_sum, ops::Extents extents, int threads);
  int64_t residuals() const override { return data_.size() * network_.output_size(); }
  void fill(ops::Worker& worker, ops::TileQueue& queue, int64_t begin, int64_t count, T* jacobian,
            T* residuals) override;
  // How often derivatives of all residuals were asked for.
  int64_t jacobians() const { return jacobians_; }
  // Of each worker, where there are derivatives.
  static plan::PlanOptions<T> options();

 private:
  struct Own {
    std::unique_ptr<plan::Plan<T>> plan;
    base::AlignedBuffer<T> gradients;
    base::AlignedBuffer<T> input_gradients;
  };

  nn::Network<T>& network_;
  data::Dataset<T> data_;
  double weight_sum_ = 1;
  ops::Extents extents_;
  std::vector<Own> own_;  // of each worker
  int64_t jacobians_ = 0;
};

}  // namespace gd::train

#pragma once

// The gradient of a network's loss by differences of the loss alone: right whatever backpropagation
// does, and two forward passes a parameter.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/dataset.hpp"
#include "plan/plan.hpp"
#include "train/model.hpp"

namespace gd::train {

// Flat vectors hold the parameters one after the other without gaps, in the order of
// description().parameters(), or those that were asked for in theirs.
struct NumericalGradient {
  std::vector<double> central;  // (f(w + h) - f(w - h)) / 2h
  std::vector<double> error;    // how far off rounding may make it, and where looked at, the step
  std::vector<double> below;    // one-sided slopes; equal to central but at kinks
  std::vector<double> above;
  std::vector<int64_t> kinks;  // indices where the slopes on both sides differ: no derivative there
  int64_t evaluations = 0;     // forward passes
  double seconds = 0;
};

// h: the step; none for eps^(1/3) max(1, |w_i|). Parameters are shared among `threads` workers,
// each with a copy of the network.
// closer: indices of the parameters to look at, all with smaller and smaller steps. None: all
// parameters, and only those so whose one-sided slopes differ.
// Ends early where `stops` says so, which is asked on the calling thread with the model's mutex
// held and may wait for Python; then the result says nothing.
NumericalGradient numerical_gradient(Model<double>& model, const plan::LossDescription& loss,
                                     const data::Dataset<double>& data, std::optional<double> h,
                                     int threads,
                                     std::optional<std::span<const int64_t>> closer = {},
                                     base::FunctionRef<bool()> stops = NeverStops());

struct ExactGradient {
  std::vector<double> gradient;  // flat, as above
  double loss = 0;
  double seconds = 0;
};

// The same by backpropagation: one forward and one backward pass.
ExactGradient backpropagation_gradient(Model<double>& model, const plan::LossDescription& loss,
                                       const data::Dataset<double>& data, int threads);

}  // namespace gd::train

#include "train/numerical_gradient.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/check.hpp"
#include "ops/collective.hpp"
#include "plan/cost_model.hpp"
#include "train/batch_of.hpp"

namespace gd::train {

namespace {

using Clock = std::chrono::steady_clock;
using data::Dataset;

// Below this share of the slopes their difference may be curvature or rounding: no look is taken.
constexpr double kSuspicious = 1e-4;
// A smooth function's one-sided slopes approach each other as h does; at a kink they do not.
constexpr double kFiner = 8.0;
constexpr int kFinerSteps = 3;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Initial values would only be overwritten.
std::vector<nn::DenseSpec> without_values(std::vector<nn::DenseSpec> layers) {
  for (nn::DenseSpec& layer : layers) layer.weight_init = layer.bias_init = "zeros";
  return layers;
}

// A copy of the network with a loss to call, for one worker.
class Probe {
 public:
  Probe(Model<double>& model, const plan::LossDescription& loss, const Dataset<double>& data)
      : network_(without_values(model.description().layers()), model.description().input_size(), 0),
        batch_(batch_of(data)) {
    std::copy_n(model.network().values(), network_.flat_size(), network_.values());
    plan::PlanOptions<double> options;
    options.kind = plan::PlanKind::evaluation;
    options.capacity = std::min(data.size(), plan::kMostRows);
    options.loss = loss;
    plan_ = std::make_unique<plan::Plan<double>>(network_, options);
  }

  double& value(int64_t offset) { return network_.values()[offset]; }
  double loss() {
    ++evaluations_;
    return plan_->step(batch_);
  }
  int64_t evaluations() const { return evaluations_; }

 private:
  nn::Network<double> network_;
  plan::Batch<double> batch_;
  std::unique_ptr<plan::Plan<double>> plan_;
  int64_t evaluations_ = 0;
};

struct Slopes {
  double below = 0;
  double above = 0;
  double central = 0;
  double gap() const { return std::abs(above - below); }
};

Slopes slopes_at(Probe& probe, int64_t offset, double here_loss, double h) {
  double& value = probe.value(offset);
  const double here = value;
  const double up = here + h;
  const double down = here - h;
  base::require<base::ValueError>(down < here && here < up,
                                  "h must be large enough to move w = ", here, ", got ", h);
  value = up;
  const double up_loss = probe.loss();
  value = down;
  const double down_loss = probe.loss();
  value = here;
  // The steps that were really made, after rounding.
  return {(here_loss - down_loss) / (here - down), (up_loss - here_loss) / (up - here),
          (up_loss - down_loss) / (up - down)};
}

// Whether there is a kink within reach of h, and the slopes to believe.
bool look_closer(Probe& probe, int64_t offset, double here_loss, double h, Slopes& slopes) {
  const double scale = std::abs(slopes.below) + std::abs(slopes.above);
  const double curvature = kSuspicious * scale + 10 * h * std::max(1.0, std::abs(here_loss));
  if (slopes.gap() <= curvature) return false;
  Slopes finer = slopes_at(probe, offset, here_loss, h / kFiner);
  const double ratio = finer.gap() / slopes.gap();
  if (ratio > 0.5 / kFiner && ratio < 2.0 / kFiner) return false;  // shrinks with h: smooth
  for (int i = 1; i < kFinerSteps && finer.gap() > 1e-3 * slopes.gap(); ++i) {
    h /= kFiner;
    finer = slopes_at(probe, offset, here_loss, h / kFiner);
  }
  const bool at_the_point = finer.gap() > 1e-3 * slopes.gap();
  slopes = finer;
  // A kink nearby, that a smaller step does not reach: the derivative exists.
  if (!at_the_point) slopes.below = slopes.above = slopes.central;
  return at_the_point;
}

}  // namespace

NumericalGradient numerical_gradient(Model<double>& model, const plan::LossDescription& loss,
                                     const Dataset<double>& data, std::optional<double> h,
                                     int threads, base::FunctionRef<bool()> stops) {
  const auto start = Clock::now();
  const std::lock_guard<parallel::ForkSafeMutex> lock(model.mutex());
  const parallel::ForkSafeMutex::Reading reading(model.mutex());
  std::vector<int64_t> offsets;
  for (const nn::Parameter& parameter : model.description().parameters()) {
    for (int64_t i = 0; i < parameter.size(); ++i) {
      offsets.push_back(model.description().index(parameter, i));
    }
  }

  NumericalGradient result;
  result.central.resize(offsets.size());
  result.below.resize(offsets.size());
  result.above.resize(offsets.size());
  std::vector<char> is_kink(offsets.size(), 0);
  std::atomic<int64_t> evaluations{0};
  std::atomic<bool> stopped{false};
  const double step = std::cbrt(std::numeric_limits<double>::epsilon());

  const parallel::TeamLease team = parallel::acquire_team(threads);
  ops::TileQueue queue(threads);
  ops::run_collective(*team, [&](ops::Worker& worker) {
    Probe probe(model, loss, data);
    const double here_loss = probe.loss();
    queue.for_each(worker, static_cast<int64_t>(offsets.size()), [&](int64_t tile) {
      if (worker.index() == 0 && !stopped && stops()) stopped = true;
      if (stopped) return;
      const auto i = static_cast<size_t>(tile);
      const double reach = h.value_or(step * std::max(1.0, std::abs(probe.value(offsets[i]))));
      Slopes slopes = slopes_at(probe, offsets[i], here_loss, reach);
      is_kink[i] = look_closer(probe, offsets[i], here_loss, reach, slopes) ? 1 : 0;
      result.central[i] = slopes.central;
      result.below[i] = is_kink[i] ? slopes.below : slopes.central;
      result.above[i] = is_kink[i] ? slopes.above : slopes.central;
    });
    evaluations += probe.evaluations();
  });
  for (size_t i = 0; i < is_kink.size(); ++i) {
    if (is_kink[i]) result.kinks.push_back(static_cast<int64_t>(i));
  }
  result.evaluations = evaluations;
  result.seconds = seconds_since(start);
  return result;
}

ExactGradient backpropagation_gradient(Model<double>& model, const plan::LossDescription& loss,
                                       const Dataset<double>& data, int threads) {
  const std::lock_guard<parallel::ForkSafeMutex> lock(model.mutex());
  plan::PlanOptions<double> options;
  options.kind = plan::PlanKind::gradient;
  options.capacity = std::min(data.size(), plan::kMostRows);
  options.max_workers = threads;
  options.loss = loss;
  plan::Plan<double> plan(model.network(), options);
  const plan::Batch<double> batch = batch_of(data);
  ExactGradient result;
  const auto start = Clock::now();
  result.loss = plan.step(batch);
  result.seconds = seconds_since(start);
  model.network().set_gradients_valid(true);
  result.gradient.resize(static_cast<size_t>(model.description().num_parameters()));
  model.copy_gradients(result.gradient.data());
  model.network().set_gradients_valid(false);
  return result;
}

}  // namespace gd::train

#include "train/numerical_gradient.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.hpp"
#include "base/philox.hpp"
#include "layers/registry.hpp"
#include "ops/collective.hpp"
#include "ops/formulas.hpp"
#include "plan/cost_model.hpp"
#include "profiling/recorder.hpp"
#include "train/batch_of.hpp"
#include "train/elements.hpp"
#include "train/heads.hpp"

namespace gd::train {

namespace {

using Clock = std::chrono::steady_clock;
using data::Dataset;

constexpr double kEps = std::numeric_limits<double>::epsilon();

// Below this share of the slopes their difference may be curvature: no look is taken.
constexpr double kSuspicious = 1e-4;
// A look closer takes the steps 256 h, 64 h, ... h/256: large ones see through rounding, small ones
// see curvature and kinks. More of these while what they see shows through the rounding.
constexpr double kFiner = 4.0;
constexpr int kCoarser = 4;
constexpr double kCoarsest = 2e-3;  // of max(1, |w|)
constexpr int kSteps = kCoarser + 5;
constexpr int kMostSteps = kSteps + 5;
// From one to the next the one-sided slopes of a smooth function come four times as close, and
// those at a kink do not.
constexpr double kShrinks = 0.5;
constexpr double kManyKinks = 0.02;
// What rounding makes of a value: this many deviations, from so many draws.
constexpr double kDeviations = 6.0;
constexpr uint32_t kDraws = 16;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Data as a plan takes them; what it points to is here and in the data.
struct WeighedBatch {
  WeighedBatch(const Dataset<double>& data, const nn::Graph& graph,
               const plan::LossDescription& loss) {
    if (loss.heads.empty()) {
      batch = batch_of(data);
      return;
    }
    heads.emplace(graph, loss);
    batch = batch_of(data, heads->weigh(data));
    batch.heads = heads->batch();
  }
  WeighedBatch(const WeighedBatch&) = delete;
  WeighedBatch& operator=(const WeighedBatch&) = delete;

  std::optional<Heads<double>> heads;
  plan::Batch<double> batch;
};

// A copy of the network with a loss to call, for one worker.
class Probe {
 public:
  Probe(Model<double>& model, const plan::LossDescription& loss, const Dataset<double>& data)
      : network_(model.description().graph(), 0, false), batch_(data, network_.graph(), loss) {
    ops::copy_extents<double>(network_.extents(), model.network().values(), network_.values());
    std::copy_n(model.network().state(), network_.state_size(), network_.state());
    plan::PlanOptions<double> options;
    options.lowerings = layers::lowering<double>;
    options.kind = plan::PlanKind::evaluation;
    options.capacity = std::min(data.size(), plan::kMostRows);
    options.loss = loss;
    plan_ = std::make_unique<plan::Plan<double>>(network_, options);
  }

  double& value(int64_t offset) { return network_.values()[offset]; }
  double loss() {
    ++evaluations_;
    return plan_->step(batch_.batch);
  }

  // Calls each(rows of the data, their outputs) for all data.
  template <class Each>
  void outputs(const Dataset<double>& data, Each&& each) {
    ++evaluations_;
    for (int64_t begin = 0; begin < data.size(); begin += plan_->capacity()) {
      const auto rows = data.rows(begin, std::min(plan_->capacity(), data.size() - begin));
      plan_->forward(batch_of(rows, 1.0));
      each(rows, plan_->output(rows.size()));
    }
  }
  const nn::Graph& graph() const { return network_.graph(); }
  int64_t evaluations() const { return evaluations_; }
  int64_t members() const { return network_.members(); }
  int64_t flops() const { return plan_->flops(batch_.batch.rows); }  // of one

 private:
  nn::Network<double> network_;
  WeighedBatch batch_;
  std::unique_ptr<plan::Plan<double>> plan_;
  int64_t evaluations_ = 0;
};

// How far a parameter moves.
double reach_of(double value, std::optional<double> h) {
  return h.value_or(std::cbrt(kEps) * std::max(1.0, std::abs(value)));
}

// The losses of single samples, whose outputs may be moved.
class SampleLosses {
 public:
  SampleLosses(const plan::LossDescription& loss, const Dataset<double>& rows,
               base::MatrixView<const double> output, int64_t members, double weight_sum)
      : kernel_(ops::find_loss<double>(loss.name)),
        parameters_(kernel_, loss.parameters, output.cols / members),
        output_(output),
        members_(members),
        moved_(static_cast<size_t>(output.rows * output.cols)),
        gradient_(moved_.size()) {
    at_.rows = output.rows;
    at_.outputs = output.cols / members;
    at_.ldp = at_.ldg = output.cols;
    at_.target = rows.target.data;
    at_.ldt = rows.target.stride;
    at_.labels = rows.labels;
    at_.weights = rows.weights;
    at_.weight_sum = weight_sum;
    at_.parameters = parameters_.data();
    at_.array = parameters_.array();
    differentiates_ = true;
    moved_by(0);
    differentiates_ = false;
  }

  bool of_logits() const { return kernel_.targets != ops::Targets::any; }

  // Each output up by so many units in the last place, or down, so that the loss grows.
  std::vector<double> moved_by(double units) {
    std::vector<double> losses(static_cast<size_t>(output_.rows)), own(losses.size());
    for (size_t j = 0; j < moved_.size(); ++j) {
      const auto i = static_cast<int64_t>(j);
      const double p = output_(i / output_.cols, i % output_.cols);
      moved_[j] = p + std::copysign(units * kEps * std::abs(p), units * gradient_[j]);
    }
    at_.sample_loss = own.data();
    for (int64_t member = 0; member < members_; ++member) {
      at_.prediction = moved_.data() + member * at_.outputs;
      at_.gradient = differentiates_ ? gradient_.data() + member * at_.outputs : nullptr;
      kernel_.run(at_);
      for (size_t i = 0; i < own.size(); ++i) losses[i] += own[i];
    }
    for (double& loss : losses) loss /= static_cast<double>(members_);
    return losses;
  }

 private:
  const ops::LossKernel<double>& kernel_;
  ops::LossTerms<double> parameters_;
  base::MatrixView<const double> output_;
  int64_t members_;
  bool differentiates_ = false;
  std::vector<double> moved_;
  std::vector<double> gradient_;
  kernels::LossRows<double> at_{};
};

// The least that rounding may make of the loss, wherever values happen to fall. Outputs p are known
// to a few units in the last place, or, where a large logit went through softmax, to some dozen,
// which counts only for the curvature at a minimum. A loss of logits is a difference of numbers of
// about max(1, |p|); and all are sums.
double least_noise(const plan::LossDescription& loss, const Dataset<double>& rows,
                   base::MatrixView<const double> output, int64_t members, double weight_sum) {
  double total = 0;
  if (weight_sum > 0) {
    SampleLosses losses(loss, rows, output, members, weight_sum);
    const std::vector<double> here = losses.moved_by(0);
    const std::vector<double> near = losses.moved_by(2);
    const std::vector<double> up = losses.moved_by(64);
    const std::vector<double> down = losses.moved_by(-64);
    for (int64_t i = 0; i < rows.size(); ++i) {
      const auto j = static_cast<size_t>(i);
      double magnitude = 8 * std::abs(here[j]);
      if (losses.of_logits()) {
        double largest = 1;
        for (int64_t k = 0; k < output.cols; ++k) {
          largest = std::max(largest, std::abs(output(i, k)));
        }
        magnitude += largest;
      }
      const double slope = std::abs(near[j] - here[j]);
      const double curvature = std::abs(up[j] + down[j] - 2 * here[j]);
      const double weight = rows.weights == nullptr ? 1.0 : rows.weights[i];
      total += weight / weight_sum * (kEps * magnitude + slope + curvature);
    }
  }
  return total;
}

double least_noise(Probe& probe, const plan::LossDescription& loss, const Dataset<double>& data) {
  double total = 0;
  probe.outputs(data, [&](const Dataset<double>& rows, base::MatrixView<const double> output) {
    if (loss.heads.empty()) {
      total += least_noise(loss, rows, output, probe.members(), sum_of_weights(data));
    }
    for (size_t h = 0; h < loss.heads.size(); ++h) {
      const plan::HeadLoss& head = loss.heads[h];
      const nn::Graph& graph = probe.graph();
      output.cols = graph.width(graph.heads[h].node);
      const double weights = sum_of_weights(rows_of_head(data, h));
      total += head.weight * least_noise({head.name, head.parameters, {}}, rows_of_head(rows, h),
                                         output, 1, weights);
      output.data += output.cols;
    }
  });
  return total;
}

// What rounding may make of the loss near the point. Sums in floating point are those of weights a
// few units in the last place away (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd
// edition, section 3.1), so weights are moved by as much, and how the loss scatters is seen: there
// where the differences take it, one step away.
double noise_of(Probe& probe, const plan::LossDescription& loss, const Dataset<double>& data,
                std::span<const int64_t> offsets, std::optional<double> h) {
  std::vector<double> start(offsets.size());
  for (size_t i = 0; i < start.size(); ++i) start[i] = probe.value(offsets[i]);
  double least = least_noise(probe, loss, data);
  double squares = 0;
  for (uint32_t draw = 0; draw < kDraws; ++draw) {
    const auto move = [&](double units) {
      for (size_t i = 0; i < start.size(); ++i) {
        const auto bits = base::philox4x32({static_cast<uint32_t>(i), draw, 0, 0}, {0, 0});
        const double step = (bits[0] & 1) != 0 ? 1.0 : -1.0;
        const double change = (bits[1] & 1) != 0 ? units * kEps : -units * kEps;
        probe.value(offsets[i]) = (start[i] + step * reach_of(start[i], h)) * (1 + change);
      }
      return probe.loss();
    };
    const double scattered = move(4);
    const double difference = scattered - move(0);
    if (std::isfinite(difference)) squares += difference * difference / (2.0 * kDraws);
    if (draw > 0) continue;
    if (const double there = least_noise(probe, loss, data); there > least) least = there;
  }
  for (size_t i = 0; i < start.size(); ++i) probe.value(offsets[i]) = start[i];
  return std::max(least, kDeviations * std::sqrt(squares));
}

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

// How far off rounding makes the central difference: that of the losses, and that of w + h and w -
// h, which then are not equally far from w, so that curvature counts.
double rounding_of(const Slopes& slopes, double value, double h, double noise) {
  return (noise + kEps * std::abs(value) * slopes.gap()) / h;
}

struct Found {
  Slopes slopes;
  double error = 0;
  bool is_kink = false;
};

// Takes smaller and smaller steps, to tell kinks from curvature and to see how far the slope still
// moves. `noise` is what rounding may make of a loss.
Found look_closer(Probe& probe, int64_t offset, double here_loss, double h, double noise) {
  const double size = std::abs(probe.value(offset));
  for (int k = 0; k < kCoarser && kFiner * h <= kCoarsest * std::max(1.0, size); ++k) h *= kFiner;
  std::array<Slopes, kMostSteps> at;
  std::array<double, kMostSteps> rounding{};  // in a central difference
  int steps = 0;
  for (; steps < kMostSteps; ++steps, h /= kFiner) {
    if (steps > 0 && h < 1024 * kEps * size) break;  // rounded, it would be another
    if (steps >= kSteps) {
      const double moved = std::abs(at[steps - 1].central - at[steps - 2].central);
      if (32 * noise / h > std::max(moved, at[steps - 1].gap())) break;
    }
    at[steps] = slopes_at(probe, offset, here_loss, h);
    rounding[steps] = rounding_of(at[steps], probe.value(offset), h, noise);
  }
  // The finest step whose gap, the difference of two slopes, shows a kink through the rounding.
  const double whole_gap = at[0].gap();
  int finest = 0;
  while (finest + 1 < steps && 32 * rounding[finest + 1] <= whole_gap) ++finest;
  const auto smooth = [&](int k) {
    return at[k].gap() <= kShrinks * at[k - 1].gap() + 4 * rounding[k];
  };
  int rough = finest;  // the finest step from which to the next it is not smooth
  while (rough > 0 && smooth(rough)) --rough;

  if (rough > 0 && rough + 2 > finest) {
    // A kink within the finest step, or just outside. The slope is between those of both sides.
    const Slopes& last = at[finest];
    Found found{last, last.gap() / 2 + rounding[finest]};
    found.is_kink = !smooth(finest) && last.gap() > 8 * rounding[finest];
    if (!found.is_kink) return found;
    // Its sides, where curvature and rounding make least of them.
    double least = std::numeric_limits<double>::infinity();
    for (int k = 1; k <= finest; ++k) {
      const double moved = std::abs(at[k].below - at[k - 1].below) +
                           std::abs(at[k].above - at[k - 1].above) + 4 * rounding[k];
      if (moved >= least) continue;
      least = moved;
      found.slopes = at[k];
    }
    return found;
  }
  // Smooth, or beyond a kink nearby: the step whose slope is least off from that of the next larger
  // and of all smaller ones. Among many kinks some may meet by chance; there, smaller steps move
  // the slope by a good part of the gap, which bounds the error then.
  Found found{at[0], steps > 1 ? std::numeric_limits<double>::infinity() : rounding[0]};
  bool many = false;
  for (int k = steps - 1; k > rough; --k) {
    const auto off_from = [&](int j) { return std::abs(at[k].central - at[j].central); };
    double error = off_from(k - 1);
    many = many || error > kManyKinks * at[k - 1].gap() + 2 * rounding[k];
    if (many) error = std::max(error, at[k].gap() / 2);
    for (int j = k + 1; j < steps; ++j) error = std::max(error, off_from(j) - 3 * rounding[j]);
    error += 3 * rounding[k];
    if (error < found.error) found = {at[k], error};
  }
  // Where rounding would hide a kink, the slope is known to half the gap.
  if (finest == 0) found.error += whole_gap / 2;
  found.slopes.below = found.slopes.above = found.slopes.central;
  return found;
}

}  // namespace

NumericalGradient numerical_gradient(Model<double>& model, const plan::LossDescription& loss,
                                     const Dataset<double>& data, std::optional<double> h,
                                     int threads, std::optional<std::span<const int64_t>> closer,
                                     base::FunctionRef<bool()> stops) {
  const auto start = Clock::now();
  const std::lock_guard<parallel::ForkSafeMutex> lock(model.mutex());
  const parallel::ForkSafeMutex::Reading reading(model.mutex());
  std::vector<int64_t> offsets;
  for (const nn::Parameter& parameter : model.description().parameters()) {
    for (int64_t i = 0; i < parameter.size(); ++i) {
      offsets.push_back(model.description().index(parameter, i));
    }
  }
  std::vector<int64_t> wanted(offsets.size());
  std::iota(wanted.begin(), wanted.end(), 0);
  if (closer) {
    wanted.assign(closer->begin(), closer->end());
    for (const int64_t index : wanted) {
      base::require<base::ValueError>(index >= 0 && index < static_cast<int64_t>(offsets.size()),
                                      "closer must hold indices of parameters, got ", index);
    }
  }

  NumericalGradient result;
  result.central.resize(wanted.size());
  result.error.resize(wanted.size());
  result.below.resize(wanted.size());
  result.above.resize(wanted.size());
  std::vector<char> is_kink(wanted.size(), 0);
  const parallel::TeamLease team = parallel::acquire_team(threads);
  ops::TileQueue queue(threads);
  const profiling::Work work = model.work(profiling::Purpose::checking);
  std::vector<std::optional<Probe>> probes(static_cast<size_t>(team->size()));
  double noise = 0;
  double here_loss = 0;
  int64_t flops = 0;  // of an evaluation
  {
    const profiling::Region region(profiling::RegionKind::other, profiling::Zone::kCaller, work);
    const profiling::Quiet quiet;  // its many passes are one operation
    Probe& probe = probes[0].emplace(model, loss, data);
    noise = noise_of(probe, loss, data, offsets, h);
    here_loss = probe.loss();
    flops = probe.flops();
    if (region.lane() != nullptr) {
      region.lane()->begin(profiling::zone_id(profiling::Zone::kNumericalGradient));
      region.lane()->end({probe.evaluations() * flops, 0});
    }
  }
  const auto slope_of = [&](Probe& probe, size_t i) {
    const int64_t offset = offsets[static_cast<size_t>(wanted[i])];
    const double reach = reach_of(probe.value(offset), h);
    const Slopes slopes = slopes_at(probe, offset, here_loss, reach);
    Found found{slopes, rounding_of(slopes, probe.value(offset), reach, noise)};
    const double curvature =
        kSuspicious * (std::abs(slopes.below) + std::abs(slopes.above)) +
        std::max(10 * reach * std::max(1.0, std::abs(here_loss)), 4 * found.error);
    if (closer || slopes.gap() > curvature) {
      found = look_closer(probe, offset, here_loss, reach, noise);
    }
    is_kink[i] = found.is_kink ? 1 : 0;
    result.central[i] = found.slopes.central;
    result.error[i] = found.error;
    result.below[i] = found.is_kink ? found.slopes.below : found.slopes.central;
    result.above[i] = found.is_kink ? found.slopes.above : found.slopes.central;
  };
  const auto count = static_cast<int64_t>(wanted.size());
  Pace pace(count, 2 * flops);
  for (int64_t begin = 0; begin < count;) {
    const int64_t parameters = pace.next(count - begin);
    {
      const profiling::Region region(profiling::RegionKind::other, profiling::Zone::kCaller, work);
      queue.reset();
      ops::run_collective(*team, [&](ops::Worker& worker) {
        profiling::Lane* const lane = worker.lane();
        if (lane != nullptr) lane->begin(profiling::zone_id(profiling::Zone::kNumericalGradient));
        std::optional<Probe>& probe = probes[static_cast<size_t>(worker.index())];
        if (!probe) probe.emplace(model, loss, data);
        const int64_t before = probe->evaluations();
        {
          const profiling::Quiet quiet;
          queue.for_each(worker, parameters,
                         [&](int64_t i) { slope_of(*probe, static_cast<size_t>(begin + i)); });
        }
        if (lane != nullptr) lane->end_own({(probe->evaluations() - before) * flops, 0});
      });
    }
    begin += parameters;
    pace.done(parameters);
    if (begin < count && stops()) break;
  }
  for (const std::optional<Probe>& probe : probes) {
    if (probe) result.evaluations += probe->evaluations();
  }
  for (size_t i = 0; i < is_kink.size(); ++i) {
    if (is_kink[i]) result.kinks.push_back(static_cast<int64_t>(i));
  }
  result.seconds = seconds_since(start);
  return result;
}

ExactGradient backpropagation_gradient(Model<double>& model, const plan::LossDescription& loss,
                                       const Dataset<double>& data, int threads) {
  const profiling::Region region(profiling::RegionKind::other, profiling::Zone::kCaller,
                                 model.work(profiling::Purpose::checking));
  const std::lock_guard<parallel::ForkSafeMutex> lock(model.mutex());
  plan::PlanOptions<double> options;
  options.lowerings = layers::lowering<double>;
  options.kind = plan::PlanKind::gradient;
  options.capacity = std::min(data.size(), plan::kMostRows);
  options.elements = most_elements(model.description().graph(), data, options.capacity);
  options.max_workers = threads;
  options.loss = loss;
  plan::Plan<double> plan(model.network(), options);
  const WeighedBatch batch(data, model.description().graph(), loss);
  ExactGradient result;
  const auto start = Clock::now();
  result.loss = plan.step(batch.batch);
  result.seconds = seconds_since(start);
  model.network().set_gradients_valid(true);
  result.gradient.resize(static_cast<size_t>(model.description().num_parameters()));
  model.copy_gradients(result.gradient.data());
  model.network().set_gradients_valid(false);
  return result;
}

}  // namespace gd::train

// What a plan is made of: its operations in order, their arithmetic, and where barriers stand.

#include "base/check.hpp"
#include "cpp/plan/support.hpp"
#include "plan/cost_model.hpp"

using gd::plan::Plan;
using gd::plan::PlanKind;
using gd::plan::PlanOptions;
using gd::profiling::name;
using gd::profiling::Zone;
using gd::testing::options_of;
using gd::testing::stack;
using gd::testing::text;
using gd::testing::Training;

namespace {

using Lines = std::vector<std::string>;

// "zone layer phase", with a bar behind those that a barrier follows.
template <class T>
Lines lines_of(const Plan<T>& plan) {
  Lines lines;
  for (const auto& operation : plan.operations()) {
    const int layer = operation->node() < 0 ? -1 : operation->node() - 1;  // behind the input
    lines.push_back(text(name(operation->zone()), " ", layer, " ", name(operation->phase()),
                         operation->barrier_after() ? " |" : ""));
  }
  return lines;
}

// 6 -> 5 -> 4 -> 3, relu, gelu (which keeps z), tanh; the middle layer has no bias.
std::vector<gd::testing::DenseSpec> three_layers() {
  auto layers = stack({5, 4, 3}, "relu", "tanh");
  layers[1].activation = "gelu";
  layers[1].bias = false;
  return layers;
}

Lines lines_of_kind(PlanKind kind, const std::vector<gd::testing::DenseSpec>& layers,
                    const std::string& loss) {
  auto network = gd::testing::network_of<float>(layers, 6, 0);
  return lines_of(Plan<float>(network, options_of<float>(kind, 8, loss)));
}

void check_lines(const Lines& got, const Lines& want) {
  CHECK_EQ(got.size(), want.size());
  for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) CHECK_EQ(got[i], want[i]);
}

Lines joined(std::initializer_list<Lines> parts) {
  Lines all;
  for (const Lines& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

const Lines kForward = {"dense_forward 0 forward |", "dense_forward 1 forward |",
                        "dense_forward 2 forward |"};
const Lines kLoss = {"loss -1 loss |"};
// Weights may change once the gradient at the input is known; the layer before need not wait.
const Lines kUpperBackward = {"activation_backward 2 backward |", "input_gradient 2 backward |",
                              "weight_gradient 2 backward",       "bias_gradient 2 backward",
                              "input_gradient 1 backward |",      "weight_gradient 1 backward"};

}  // namespace

TEST(plans_list_their_operations_in_order) {
  check_lines(lines_of_kind(PlanKind::inference, three_layers(), ""), kForward);
  check_lines(lines_of_kind(PlanKind::evaluation, three_layers(), "mse"),
              joined({kForward, kLoss}));
  check_lines(lines_of_kind(PlanKind::gradient, three_layers(), "mse"),
              joined({kForward,
                      kLoss,
                      kUpperBackward,
                      {"weight_gradient 0 backward", "bias_gradient 0 backward |"}}));
  check_lines(lines_of_kind(PlanKind::differentiable, three_layers(), ""),
              joined({kForward,
                      kUpperBackward,
                      {"input_gradient 0 backward |", "weight_gradient 0 backward",
                       "bias_gradient 0 backward |"}}));
}

TEST(training_gathers_first_and_updates_last) {
  const Training<float> training(three_layers(), 6, "mse", 8, 1, true);
  check_lines(
      lines_of(training.plan()),
      joined({{"gather -1 data |"},
              kForward,
              kLoss,
              kUpperBackward,
              {"weight_gradient 0 backward", "bias_gradient 0 backward |", "update -1 update |"}}));
}

TEST(clipping_stands_between_gradients_and_update) {
  const Training<float> training(stack({3}, "relu", "identity"), 6, "mse", 8, 1, false, 0.5);
  check_lines(lines_of(training.plan()),
              {"dense_forward 0 forward |", "loss -1 loss |", "weight_gradient 0 backward",
               "bias_gradient 0 backward |", "clip -1 update |", "update -1 update |"});
}

TEST(an_activation_over_rows_is_an_operation_of_its_own) {
  auto layers = stack({5, 3}, "softmax", "identity");
  check_lines(
      lines_of_kind(PlanKind::gradient, layers, "mse"),
      {"dense_forward 0 forward |", "activation_forward 0 forward |", "dense_forward 1 forward |",
       "loss -1 loss |", "input_gradient 1 backward |", "weight_gradient 1 backward",
       "bias_gradient 1 backward", "activation_backward 0 backward |", "weight_gradient 0 backward",
       "bias_gradient 0 backward |"});
}

// The loss works on the logits; only inference and a loss from outside see probabilities.
TEST(cross_entropy_leaves_the_softmax_before_it_out) {
  const auto layers = stack({3}, "relu", "softmax");
  const Lines with = {"dense_forward 0 forward |", "activation_forward 0 forward |"};
  check_lines(lines_of_kind(PlanKind::inference, layers, ""), with);
  check_lines(lines_of_kind(PlanKind::evaluation, layers, "mse"), joined({with, kLoss}));
  check_lines(lines_of_kind(PlanKind::evaluation, layers, "cross_entropy"),
              joined({{"dense_forward 0 forward |"}, kLoss}));
  CHECK(gd::plan::loss_takes_logits_of_softmax("cross_entropy", "softmax"));
  CHECK(!gd::plan::loss_takes_logits_of_softmax("mse", "softmax"));
  CHECK(!gd::plan::loss_takes_logits_of_softmax("cross_entropy", "sigmoid"));
}

namespace {

// Operations on one row and layer by zone, counted by hand for three_layers().
int64_t flops_of_row(Zone zone, int layer) {
  constexpr int64_t inputs[] = {6, 5, 4};
  constexpr int64_t units[] = {5, 4, 3};
  if (zone == Zone::kLoss) return 3 * units[2];
  const int64_t product = 2 * inputs[layer] * units[layer];
  switch (zone) {
    case Zone::kDenseForward:
      return product + (layer == 1 ? 0 : units[layer]);
    case Zone::kWeightGradient:
    case Zone::kInputGradient:
      return product;
    default:  // one for each output: bias gradient, activation
      return units[layer];
  }
}

}  // namespace

TEST(operations_count_their_arithmetic) {
  const Training<double> training(three_layers(), 6, "mse", 8, 1);
  int64_t total = 0;
  for (const auto& operation : training.plan().operations()) {
    const int64_t flops = operation->cost().flops(8);
    total += flops;
    if (operation->zone() == Zone::kUpdate) {
      // Weights and two states, in place: two operations each.
      CHECK_EQ(flops, 6 * (5 * 6 + 5 + 4 * 5 + 3 * 4 + 3));
      CHECK_EQ(flops, operation->cost().flops(1));
      continue;
    }
    CHECK_EQ(flops, 8 * flops_of_row(operation->zone(), operation->node() - 1));
    CHECK(operation->cost().bytes(8) > operation->cost().bytes(7));
  }
  CHECK_EQ(training.plan().flops(8), total);
}

TEST(operations_count_their_traffic) {
  auto network = gd::testing::network_of<float>(three_layers(), 6, 0);
  const Plan<float> plan(network, options_of<float>(PlanKind::inference, 8));
  const auto& cost = plan.operations()[0]->cost();
  CHECK_EQ(cost.bytes(0), 6 * 5 * 4);                  // the weights
  CHECK_EQ(cost.bytes(8), (6 * 5 + 8 * (6 + 5)) * 4);  // rows in and out
}

TEST(workers_follow_the_arithmetic_of_the_batch) {
  auto network = gd::testing::network_of<float>(stack({300, 40, 10}, "relu", "identity"), 48, 0);
  const Plan<float> plan(network, options_of<float>(PlanKind::gradient, 300, "mse", 5));
  CHECK_EQ(plan.workers(1), 1);
  CHECK_EQ(plan.workers(300), 5);
  int before = 1;
  for (int64_t rows = 1; rows <= 300; ++rows) {
    const int workers = plan.workers(rows);
    CHECK(workers >= before && workers <= 5);
    CHECK_EQ(workers, gd::plan::workers_for(plan.flops(rows), 5));
    before = workers;
  }
  CHECK_EQ(gd::plan::workers_for(0, 4), 1);
  CHECK_EQ(gd::plan::workers_for(INT64_MAX, 4), 4);
  CHECK_EQ(gd::plan::workers_for(INT64_MAX, 1), 1);
}

TEST(a_batch_too_large_for_memory_is_an_error) {
  auto network = gd::testing::network_of<double>(three_layers(), 6, 0);
  for (const int64_t capacity : {INT64_MAX, INT64_MAX / 2, int64_t{1} << 60}) {
    CHECK_THROWS(gd::base::ValueError,
                 Plan<double>(network, options_of<double>(PlanKind::gradient, capacity, "mse")));
  }
}

TEST(inference_needs_less_memory_than_training) {
  auto network =
      gd::testing::network_of<float>(stack({50, 50, 50, 50, 50, 50}, "gelu", "identity"), 6, 0);
  const Plan<float> inference(network, options_of<float>(PlanKind::inference, 4096));
  const Plan<float> gradient(network, options_of<float>(PlanKind::gradient, 4096, "mse"));
  CHECK(2 * inference.arena_bytes() < gradient.arena_bytes());
  CHECK_EQ(inference.capacity(), 4096);
}

TEST(an_unknown_loss_is_an_error) {
  auto network = gd::testing::network_of<float>(three_layers(), 6, 0);
  auto options = options_of<float>(PlanKind::evaluation, 8, "mse");
  options.loss.name.assign("mean");
  CHECK_THROWS(gd::base::ValueError, Plan<float>(network, options));
}

// What the passes make of layers: which steps become part of others.

#include "cpp/layers/support.hpp"

using gd::nn::LayerSpec;
using gd::plan::Plan;
using gd::plan::PlanKind;
using gd::profiling::Zone;
using gd::testing::activation_behind;
using gd::testing::batch_norm_behind;
using gd::testing::dense_behind;
using gd::testing::dropout_behind;
using gd::testing::layer;
using gd::testing::norm_behind;
using gd::testing::options_of;
using gd::testing::text;

namespace {

// "zone node" of each operation, in a phase, with a bar where workers meet.
std::string operations_of(const std::vector<LayerSpec>& specs, Zone phase,
                          PlanKind kind = PlanKind::differentiable) {
  auto network = gd::testing::network_of<float>(specs, 4);
  const Plan<float> plan(network, options_of<float>(kind, 8));
  std::string all;
  for (const auto& operation : plan.operations()) {
    if (operation->phase() != phase) continue;
    all += text(gd::profiling::name(operation->zone()), ' ', operation->node(),
                operation->barrier_after() ? " | " : ", ");
  }
  return all;
}

}  // namespace

TEST(what_follows_a_norm_is_part_of_it) {
  const std::vector<LayerSpec> columns = {dense_behind(0, 8), batch_norm_behind(1),
                                          activation_behind(2, "relu"), dropout_behind(3, 0.5),
                                          dense_behind(4, 3)};
  CHECK_EQ(operations_of(columns, Zone::kForward),
           "dense_forward 1 | norm_forward 2 | dense_forward 5 | ");
  CHECK_EQ(operations_of(columns, Zone::kBackward),
           "input_gradient 5 | weight_gradient 5, bias_gradient 5, norm_backward 2 | "
           "input_gradient 1 | weight_gradient 1, bias_gradient 1 | ");
  const std::vector<LayerSpec> rows = {dense_behind(0, 8), norm_behind(1, "layer_norm"),
                                       activation_behind(2, "gelu"), dropout_behind(3, 0.5),
                                       dense_behind(4, 3)};
  CHECK_EQ(operations_of(rows, Zone::kForward),
           "dense_forward 1 | norm_forward 2 | dense_forward 5 | ");
  CHECK_EQ(operations_of(rows, Zone::kBackward),
           "input_gradient 5 | weight_gradient 5, bias_gradient 5, norm_backward 2 | "
           "bias_gradient 2, bias_gradient 2, input_gradient 1 | weight_gradient 1, "
           "bias_gradient 1 | ");
  // Rows of a softmax are whole only where a step has whole ones.
  const auto with = [](LayerSpec norm) {
    return std::vector<LayerSpec>{norm, activation_behind(1, "softmax"), dense_behind(2, 3)};
  };
  CHECK_EQ(operations_of(with(norm_behind(0, "rms_norm")), Zone::kForward),
           "norm_forward 1 | dense_forward 3 | ");
  CHECK_EQ(operations_of(with(batch_norm_behind(0)), Zone::kForward),
           "norm_forward 1 | activation_forward 2 | dense_forward 3 | ");
}

TEST(a_residual_is_added_where_its_last_product_is_made) {
  const std::vector<LayerSpec> block = {dense_behind(0, 4, "tanh"), dense_behind(1, 4),
                                        layer("add", {0, 2}, {}), activation_behind(3, "relu"),
                                        dense_behind(4, 3)};
  CHECK_EQ(operations_of(block, Zone::kForward),
           "dense_forward 1 | dense_forward 2 | dense_forward 5 | ");
  // The first term may have been made last; and what is made twice from one value stays a sum.
  const std::vector<LayerSpec> other = {dense_behind(0, 4), layer("add", {1, 0}, {}),
                                        dense_behind(2, 3)};
  CHECK_EQ(operations_of(other, Zone::kForward), "dense_forward 1 | dense_forward 3 | ");
  const std::vector<LayerSpec> twice = {dense_behind(0, 4), layer("add", {1, 1}, {}),
                                        dense_behind(2, 3)};
  CHECK_EQ(operations_of(twice, Zone::kForward), "dense_forward 1 | add 2 | dense_forward 3 | ");
}

TEST(what_others_have_to_see_stays_a_step) {
  // The sum before the relu is read twice.
  const std::vector<LayerSpec> specs = {dense_behind(0, 4), activation_behind(1, "relu"),
                                        layer("add", {1, 2}, {}), dense_behind(3, 3)};
  CHECK_EQ(operations_of(specs, Zone::kForward), "dense_forward 1 | add 3 | dense_forward 4 | ");
  // Random words come more columns at a time than a tile has.
  const std::vector<LayerSpec> dropped = {dense_behind(0, 8, "relu"), dropout_behind(1, 0.5),
                                          dense_behind(2, 3)};
  CHECK_EQ(operations_of(dropped, Zone::kForward),
           "dense_forward 1 | dropout 2 | dense_forward 3 | ");
  CHECK_EQ(operations_of(dropped, Zone::kBackward),
           "input_gradient 3 | weight_gradient 3, bias_gradient 3, dropout 2 | input_gradient 1 | "
           "weight_gradient 1, bias_gradient 1 | ");
  CHECK_EQ(operations_of(dropped, Zone::kForward, PlanKind::inference),
           "dense_forward 1 | dense_forward 3 | ");
}

// A relu's output is not kept beside that of the dropout behind it.
TEST(dropout_behind_relu_takes_its_place) {
  const auto bytes = [](const char* bend) {
    auto network = gd::testing::network_of<float>(
        {dense_behind(0, 64), batch_norm_behind(1), activation_behind(2, bend),
         dropout_behind(3, 0.5), dense_behind(4, 3)},
        4);
    return Plan<float>(network, options_of<float>(PlanKind::differentiable, 100)).arena_bytes();
  };
  CHECK_AT(bytes("tanh") - bytes("relu") >= 100 * 64 * 4, bytes("tanh"), " ", bytes("relu"));
}

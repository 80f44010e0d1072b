#include "nn/network.hpp"

#include <algorithm>

#include "cpp/nn/support.hpp"

using gd::nn::Lies;
using gd::nn::Network;
using gd::nn::Parameter;
using gd::testing::dense;
using gd::testing::stack;

namespace {

template <class T>
std::vector<T> values_of(Network<T>& network, size_t parameter) {
  const Parameter& p = network.parameters()[parameter];
  return std::vector<T>(network.values() + p.offset, network.values() + p.offset + p.size());
}

template <class T>
void check_layout() {
  auto layers = stack({5, 4, 1}, "relu", "identity");
  layers[1].bias = false;
  layers[1].name = "middle";
  auto network = gd::testing::network_of<T>(layers, 7, 3);
  const auto& parameters = network.parameters();
  const char* const names[] = {"0.weight", "0.bias", "middle.weight", "2.weight", "2.bias"};
  const int64_t rows[] = {5, 1, 4, 1, 1};
  const int64_t cols[] = {7, 5, 5, 4, 1};
  const int owners[] = {0, 0, 1, 2, 2};
  CHECK_EQ(parameters.size(), std::size(names));
  int64_t end = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    CHECK_EQ(p.name, names[i]);
    CHECK_EQ(p.rows, rows[i]);
    CHECK_EQ(p.cols, cols[i]);
    CHECK_EQ(p.node, 1 + owners[i]);  // behind the input
    CHECK_EQ(!p.is_matrix(), i == 1 || i == 4);
    CHECK_EQ(p.offset * static_cast<int64_t>(sizeof(T)) % 64, 0);
    CHECK(p.offset >= end);  // and none overlaps the one before
    end = p.offset + p.size();
  }
  CHECK(network.flat_size() >= end);
  CHECK_EQ(network.num_parameters(), 35 + 5 + 20 + 4 + 1);
  CHECK_EQ(reinterpret_cast<uintptr_t>(network.values()) % 64, 0u);
  CHECK_EQ(reinterpret_cast<uintptr_t>(network.gradients()) % 64, 0u);
  CHECK(network.parameter(1, "weight") == &parameters[0]);
  CHECK(network.parameter(2, "weight") == &parameters[2]);
  CHECK(network.parameter(2, "bias") == nullptr);
  CHECK(network.parameter(3, "bias") == &parameters[4]);
  CHECK_EQ(network.graph().width(2), 4);
  CHECK_EQ(network.input_size(), 7);
  CHECK_EQ(network.output_size(), 1);
}

}  // namespace

TEST(parameters_lie_one_after_the_other_on_cache_lines) {
  check_layout<float>();
  check_layout<double>();
}

// However a weight lies in the flat buffer: whole panels, a narrow last one, or as it is.
TEST(parameters_go_to_their_shapes_and_back) {
  auto network = gd::testing::network_of<float>(stack({70, 40, 10, 1}, "relu", "identity"), 33, 0);
  const auto& parameters = network.parameters();
  const std::vector<bool> as_they_are = {false, false, true, true};
  std::vector<float> numbers(static_cast<size_t>(network.num_parameters()));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i + 1);
  std::vector<float> flat(static_cast<size_t>(network.flat_size()));
  network.from_shapes(numbers.data(), flat.data());
  size_t at = 0;
  std::vector<bool> found;
  for (const Parameter& p : parameters) {
    if (p.is_matrix()) found.push_back(p.lies == Lies::panels);
    for (int64_t i = 0; i < p.size(); ++i, ++at) {
      CHECK_EQ(flat[static_cast<size_t>(network.index(p, i))], numbers[at]);
    }
  }
  CHECK(found == as_they_are);
  std::vector<float> back(numbers.size());
  network.to_shapes(flat.data(), back.data());
  CHECK_SAME(back, numbers);
}

TEST(gradients_are_zero_at_first_and_invalid) {
  auto network = gd::testing::network_of<float>(stack({4, 3}, "relu", "identity"), 5, 0);
  CHECK(!network.gradients_valid());
  float* const gradients = network.gradients();
  for (const gd::parallel::Range& extent : network.extents()) {
    for (int64_t i = extent.begin; i < extent.end; ++i) CHECK_EQ(gradients[i], 0.0f);
  }
  CHECK(network.gradients() == gradients);
  network.set_gradients_valid(true);
  CHECK(network.gradients_valid());
}

TEST(the_same_seed_gives_the_same_bits_and_another_others) {
  const auto layers = stack({6, 5, 3}, "tanh", "identity");
  auto one = gd::testing::network_of<float>(layers, 4, 11);
  auto same = gd::testing::network_of<float>(layers, 4, 11);
  auto other = gd::testing::network_of<float>(layers, 4, 12);
  CHECK_SAME(one.values(), same.values(), one.flat_size());
  for (size_t i = 0; i < one.parameters().size(); ++i) {
    CHECK(values_of(one, i) != values_of(other, i));
  }
}

TEST(both_types_hold_the_same_values) {
  const auto layers = stack({6, 3}, "tanh", "identity");
  auto single = gd::testing::network_of<float>(layers, 4, 11);
  auto twice = gd::testing::network_of<double>(layers, 4, 11);
  for (size_t i = 0; i < single.parameters().size(); ++i) {
    std::vector<float> rounded;
    for (const double value : values_of(twice, i)) rounded.push_back(static_cast<float>(value));
    CHECK_SAME(values_of(single, i), rounded, single.parameters()[i].name);
  }
}

// Each parameter has a stream of its own: what others are like does not shift it.
TEST(a_layer_keeps_its_values_when_others_change_size) {
  auto small = gd::testing::network_of<double>(stack({6, 5, 3}, "tanh", "identity"), 4, 11);
  auto large = gd::testing::network_of<double>(stack({60, 5, 3}, "relu", "identity"), 9, 11);
  // Layer 2, which has 5 inputs in both; the bounds of layer 1 follow layer 0's units.
  for (const size_t parameter : {size_t{4}, size_t{5}}) {
    CHECK_SAME(values_of(small, parameter), values_of(large, parameter));
  }
}

TEST(layers_follow_their_initializers) {
  auto layers = stack({30, 20}, "relu", "identity");
  layers[0].weight_init = "zeros";
  layers[0].bias_init = "he_uniform";
  layers[1].weight_init = "he_uniform";
  layers[1].bias_init = "zeros";
  auto network = gd::testing::network_of<double>(layers, 10, 1);
  const auto largest = [&](size_t parameter) {
    double most = 0;
    for (const double value : values_of(network, parameter)) most = std::max(most, std::abs(value));
    return most;
  };
  CHECK_EQ(largest(0), 0.0);
  CHECK(largest(1) > 0.5 && largest(1) <= std::sqrt(6.0 / 10));  // by the layer's own fans
  CHECK(largest(2) > 0.4 && largest(2) <= std::sqrt(6.0 / 30));
  CHECK_EQ(largest(3), 0.0);
}

// The same on every architecture, or no run could be repeated on another machine.
TEST(initial_values_are_the_expected_bits) {
  gd::testing::Digest digest;
  for (const char* init : {"he_normal", "glorot_uniform", "pytorch"}) {
    auto layers = stack({40, 3}, "relu", "identity");
    for (auto& layer : layers) layer.weight_init = init;
    auto network = gd::testing::network_of<double>(layers, 20, 5);
    std::vector<double> shaped(static_cast<size_t>(network.num_parameters()));
    network.to_shapes(network.values(), shaped.data());
    digest.add(shaped.data(), static_cast<int64_t>(shaped.size()));
  }
  CHECK_EQ(gd::testing::hex(digest.value()), "0xb580fc2a826dda01");
}

#pragma once

// Graphs of layers, as descriptions in one line each.

#include <memory>

#include "cpp/plan/support.hpp"

namespace gd::testing {

using Options = std::map<std::string, nn::Option>;

// A layer behind the nodes `inputs`; node 0 is the network's input.
inline nn::LayerSpec layer(const std::string& kind, std::vector<int> inputs, Options options) {
  static int count = 0;
  return {kind, kind + std::to_string(count++), std::move(inputs), std::move(options)};
}

inline nn::LayerSpec dense_behind(int input, int64_t units,
                                  const std::string& activation = "identity") {
  return layer("dense", {input},
               {{"units", units},
                {"activation", activation},
                {"activation_parameters", std::vector<double>{}},
                {"bias", true},
                {"weight_init", std::string("pytorch")},
                {"bias_init", std::string("pytorch")}});
}

inline nn::LayerSpec activation_behind(int input, const std::string& name) {
  return layer("activation", {input},
               {{"activation", name}, {"activation_parameters", std::vector<double>{}}});
}

// A row that dropout or relu left nearly constant bends so sharply that no difference could tell;
// a large eps keeps it smooth.
inline nn::LayerSpec norm_behind(int input, const std::string& kind, bool affine = true) {
  return layer(kind, {input}, {{"eps", 0.01}, {"affine", affine}});
}

inline nn::LayerSpec batch_norm_behind(int input, bool affine = true) {
  return layer("batch_norm", {input}, {{"eps", 0.01}, {"momentum", 0.1}, {"affine", affine}});
}

inline nn::LayerSpec dropout_behind(int input, double rate) {
  return layer("dropout", {input}, {{"rate", rate}});
}

// A network of them whose parameters are all drawn, so that ones and zeros hide nothing.
template <class T>
nn::Network<T> network_of(const std::vector<nn::LayerSpec>& specs,
                          const std::vector<nn::InputSpec>& inputs,
                          const std::vector<nn::Head>& heads = {}) {
  nn::Network<T> network(layers::graph_of<T>(specs, inputs, heads), 3);
  std::vector<T> values = normals<T>(network.num_parameters(), 5);
  for (T& value : values) value *= T(0.5);
  network.from_shapes(values.data(), network.values());
  return network;
}

template <class T>
nn::Network<T> network_of(const std::vector<nn::LayerSpec>& specs, int64_t inputs) {
  return network_of<T>(specs, std::vector<nn::InputSpec>{inputs});
}

}  // namespace gd::testing

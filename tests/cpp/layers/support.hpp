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

inline nn::LayerSpec batch_norm_behind(int input, bool affine = true, int64_t ghost = 0) {
  Options options = {{"eps", 0.01}, {"momentum", 0.1}, {"affine", affine}};
  if (ghost > 0) options["ghost"] = ghost;
  return layer("batch_norm", {input}, std::move(options));
}

inline nn::LayerSpec dropout_behind(int input, double rate) {
  return layer("dropout", {input}, {{"rate", rate}});
}

inline nn::LayerSpec standardize_behind(int input, int64_t width) {
  std::vector<double> means, scales;
  for (int64_t i = 0; i < width; ++i) {
    means.push_back(0.1 * static_cast<double>(i) - 0.3);
    scales.push_back(0.5 + 0.25 * static_cast<double>(i % 4));
  }
  return layer("standardize", {input}, {{"means", means}, {"scales", scales}});
}

inline nn::LayerSpec parametric_behind(int input, const std::string& name) {
  return layer("parametric_activation", {input},
               {{"activation", name}, {"activation_parameters", std::vector<double>{}}});
}

struct Waves {
  bool lite = false;
  bool phase = false;
  bool keep_input = false;
  int64_t size = 2;
  std::string activation = "identity";
};
inline nn::LayerSpec periodic_behind(int input, const Waves& waves) {
  return layer("periodic_embedding", {input},
               {{"size", waves.size},
                {"frequencies", int64_t{3}},
                {"sigma", 0.1},
                {"activation", waves.activation},
                {"activation_parameters", std::vector<double>{}},
                {"lite", waves.lite},
                {"phase", waves.phase},
                {"keep_input", waves.keep_input}});
}

// With from one to four bins a column.
inline nn::LayerSpec piecewise_behind(int input, int64_t width, const std::string& version,
                                      const std::string& activation = "identity") {
  std::vector<double> edges, counts;
  for (int64_t i = 0; i < width; ++i) {
    const int64_t bins = 1 + (i + 2) % 4;
    for (int64_t j = 0; j <= bins; ++j) edges.push_back(0.7 * static_cast<double>(j) - 1.1);
    counts.push_back(static_cast<double>(bins + 1));
  }
  return layer("piecewise_linear_embedding", {input},
               {{"size", int64_t{2}},
                {"edges", edges},
                {"edge_counts", counts},
                {"version", version},
                {"activation", activation},
                {"activation_parameters", std::vector<double>{}}});
}

inline nn::LayerSpec ensemble_behind(int input, int64_t units, int64_t members, bool shared,
                                     const std::string& activation = "identity", bool bias = true) {
  return layer("ensemble_dense", {input},
               {{"units", units},
                {"members", members},
                {"activation", activation},
                {"activation_parameters", std::vector<double>{}},
                {"shared", shared},
                {"bias", bias},
                {"s_init", std::string("ones")}});
}

// Another kind of dense layer.
inline nn::LayerSpec dense_of_kind(const std::string& kind, int input, int64_t units,
                                   const std::string& activation = "identity") {
  nn::LayerSpec spec = dense_behind(input, units, activation);
  spec.kind = kind;
  return spec;
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

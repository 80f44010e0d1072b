#pragma once

// Graphs of layers of all kinds, joined at random.

#include <random>

#include "cpp/layers/support.hpp"

namespace gd::testing {

inline constexpr int64_t kInputs = 4;

using Specs = std::vector<nn::LayerSpec>;

struct Drawn {
  Drawn(Specs layers) : specs(std::move(layers)) {}  // NOLINT(google-explicit-constructor)
  Drawn(std::initializer_list<nn::LayerSpec> layers) : specs(layers) {}

  template <class T>
  nn::Network<T> network() const {
    return network_of<T>(specs, inputs, heads);
  }
  // With a loss: that of each head, or one.
  template <class T>
  plan::PlanOptions<T> options(plan::PlanKind kind, int64_t rows, int workers = 1) const {
    auto options = options_of<T>(kind, rows, heads.empty() ? "mse" : "", workers);
    const char* const losses[] = {"log_cosh", "mse", "bce_with_logits"};
    for (size_t h = 0; h < heads.size(); ++h) {
      const auto loss = loss_named(losses[h % 3]);
      options.loss.heads.push_back({loss.name, loss.parameters, 0.5 + static_cast<double>(h)});
    }
    return options;
  }

  // Codes where an input holds them.
  template <class T>
  Samples<T> samples(int64_t rows, int64_t outputs) const {
    Samples<T> made(rows, kInputs, outputs, 11);
    int64_t column = 0;
    for (const nn::InputSpec& input : inputs) {
      for (const int64_t codes : input.categories) {
        const auto own = labels_below(codes, rows, static_cast<uint64_t>(column));
        for (int64_t i = 0; i < rows; ++i) {
          const T code = static_cast<T>(own[static_cast<size_t>(i)]);
          made.x[static_cast<size_t>(i * kInputs + column)] = code;
        }
        ++column;
      }
      if (!input.holds_codes()) column += input.width;
    }
    return made;
  }
  // Of columns before that of codes.
  int64_t differentiable_inputs() const {
    return inputs.back().holds_codes() ? kInputs - inputs.back().width : kInputs;
  }

  Specs specs;
  std::vector<nn::InputSpec> inputs = {kInputs};
  std::vector<nn::Head> heads;
};

// Layers of an ensemble at random, behind node `from`, the last.
inline void draw_ensemble(std::mt19937& random, int from, int64_t width, Specs& specs) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
  const char* const smooth[] = {"tanh", "gelu", "softmax", "identity"};
  const int64_t members = 2 + below(3);
  int at = from;
  const auto put = [&](nn::LayerSpec spec) {
    specs.push_back(std::move(spec));
    ++at;
  };
  int64_t units = 1 + below(5);
  // Arguments of a call are drawn before it: compilers differ in their order.
  const auto drawn_ensemble = [&](bool shared) {
    const char* const activation = smooth[below(4)];
    const bool bias = below(3) > 0;
    return ensemble_behind(at, units, members, shared, activation, bias);
  };
  switch (below(3)) {
    case 0:
      put(layer("ensemble_scale", {at}, {{"members", members}}));
      units = width;
      break;
    case 1:
      put(drawn_ensemble(true));
      break;
    default:
      put(drawn_ensemble(false));
  }
  for (int i = below(4); i > 0; --i) {
    const int here = at;
    switch (below(8)) {
      case 0:
        put(activation_behind(at, smooth[below(4)]));
        break;
      case 1:
        put(below(2) == 0 ? dropout_behind(at, 0.5) : parametric_behind(at, "tanh"));
        break;
      case 2:
        put(below(3) == 0 ? batch_norm_behind(at, true, 3 * below(2)) : layer("scale", {at}, {}));
        break;
      case 3:
        put(dense_behind(at, units, smooth[below(4)]));
        put(layer("add", {here, at}, {}));
        break;
      case 4:
        put(layer("ensemble_scale", {at}, {{"members", members}}));
        break;
      default:
        units = 1 + below(5);
        put(below(3) == 0 ? dense_behind(at, units, smooth[below(4)])
                          : drawn_ensemble(below(2) == 0));
    }
  }
  units = 3;
  put(drawn_ensemble(below(2) == 0));
}

// Layers at random over one to three inputs, each behind one that is there already, joined where
// the widths allow it; in the end all that nobody reads is joined too, and makes one to three
// outputs, or one of an ensemble. Without `kinks` all are smooth.
inline Drawn drawn_graph(uint32_t seed, bool kinks = false) {
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
  const char* const smooth[] = {"tanh", "gelu", "silu", "sigmoid", "softmax", "identity"};
  Drawn drawn(Specs{});
  Specs& specs = drawn.specs;
  const int inputs = 1 + below(3);
  if (inputs > 1) {
    drawn.inputs.clear();
    const int64_t first = 1 + below(2);
    drawn.inputs.emplace_back("a", first, std::vector<int64_t>{});
    if (inputs == 3) drawn.inputs.emplace_back("b", 1, std::vector<int64_t>{});
    const int64_t rest = kInputs - first - (inputs - 2);
    std::vector<int64_t> codes;
    if (below(2) == 0) {
      for (int64_t j = 0; j < rest; ++j) codes.push_back(1 + below(5));
    }
    drawn.inputs.emplace_back("c", rest, codes);
  }
  // What reads codes; all others read that in their place.
  const int coded = drawn.inputs.back().holds_codes() ? inputs - 1 : -1;
  const auto readable = [&](int node) { return node == coded ? inputs : node; };
  std::vector<int64_t> widths;
  for (const nn::InputSpec& input : drawn.inputs) widths.push_back(input.width);
  std::vector<bool> read(widths.size());
  const auto put = [&](nn::LayerSpec spec, int64_t width) {
    for (const int input : spec.inputs) read[static_cast<size_t>(input)] = true;
    specs.push_back(std::move(spec));
    widths.push_back(width);
    read.push_back(false);
  };
  if (coded >= 0) {
    std::vector<double> sizes;
    double width = 0;
    for (int64_t j = 0; j < drawn.inputs.back().width; ++j) {
      sizes.push_back(1 + below(3));
      width += sizes.back();
    }
    put(layer(
            "embedding", {coded},
            {{"size", sizes}, {"sparse", below(2) == 0}, {"weight_init", std::string("pytorch")}}),
        static_cast<int64_t>(width));
  }
  const int count = 2 + below(8);
  for (int i = 0; i < count; ++i) {
    const int from = below(3) == 0 ? readable(below(static_cast<int>(widths.size())))
                                   : static_cast<int>(widths.size()) - 1;
    const int64_t width = widths[static_cast<size_t>(from)];
    switch (below(10)) {
      case 8:
        if (width > 12) {
          put(standardize_behind(from, width), width);
        } else if (kinks && below(2) == 0) {
          put(below(2) == 0 ? piecewise_behind(from, width, below(2) == 0 ? "A" : "B", "relu")
                            : layer("linear_relu_embedding", {from}, {{"size", int64_t{2}}}),
              2 * width);
        } else {
          put(periodic_behind(from, {below(3) == 0, below(2) == 0, below(2) == 0, 2 + below(2)}),
              0);
          widths.back() = width * std::get<int64_t>(specs.back().options.at("size"));
        }
        break;
      case 9:
        if (below(3) == 0) {
          put(parametric_behind(from, below(2) == 0 ? "tanh" : "gelu"), width);
        } else {
          const int64_t units = 1 + below(6);
          const char* const kind = below(2) == 0 ? "ntk_dense" : "weight_norm_dense";
          put(dense_of_kind(kind, from, units, smooth[below(6)]), units);
        }
        break;
      case 0: {
        const char* const kind = below(2) == 0 ? "layer_norm" : "rms_norm";
        put(norm_behind(from, kind, below(3) > 0), width);
        break;
      }
      case 1:
        put(activation_behind(from, smooth[below(6)]), width);
        break;
      case 2:
        if (below(3) == 0) {
          const int ghosts[] = {0, 0, 3, 100};
          const bool affine = below(3) > 0;
          put(batch_norm_behind(from, affine, ghosts[below(4)]), width);
        } else if (below(2) == 0) {
          put(dropout_behind(from, 0.5), width);
        } else if (below(2) == 0 || width % 2 != 0) {
          put(layer("scale", {from}, {}), width);
        } else {
          put(layer("glu", {from},
                    {{"activation", std::string(smooth[below(6)])},
                     {"activation_parameters", std::vector<double>{}}}),
              width / 2);
        }
        break;
      case 3: {
        std::vector<int> same;
        for (size_t j = 0; j < widths.size(); ++j) {
          const int node = static_cast<int>(j);
          if (widths[j] == width && node != coded) same.push_back(node);
        }
        const int other = same[static_cast<size_t>(below(static_cast<int>(same.size())))];
        put(layer("add", {from, other}, {}), width);
        break;
      }
      case 4: {
        const int other = readable(below(static_cast<int>(widths.size())));
        put(layer("concat", {other, from}, {}), width + widths[static_cast<size_t>(other)]);
        break;
      }
      default: {
        const int64_t units = 1 + below(6);
        put(dense_behind(from, units, smooth[below(6)]), units);
      }
    }
  }
  std::vector<int> open;
  for (size_t j = 0; j < read.size(); ++j) {
    if (!read[j]) open.push_back(static_cast<int>(j));
  }
  if (open.size() > 1) {
    int64_t all = 0;
    for (const int node : open) all += widths[static_cast<size_t>(node)];
    put(layer("concat", open, {}), all);
  }
  const int last = static_cast<int>(widths.size()) - 1;
  if (below(4) == 0) {
    draw_ensemble(random, last, widths.back(), specs);
    return drawn;
  }
  const int heads = below(3) == 0 ? 1 + below(3) : 0;
  if (heads == 0) put(dense_behind(last, 3, smooth[below(6)]), 3);
  std::vector<int> nodes;
  for (int h = 0; h < heads; ++h) {
    nodes.push_back(static_cast<int>(widths.size()));
    drawn.heads.push_back({"h" + std::to_string(h), nodes.back()});
    // The last may read the one before.
    const int from = h == 2 && below(2) == 0 ? nodes[1] : last;
    const int64_t units = 1 + below(3);
    put(dense_behind(from, units, h < 2 ? smooth[below(6)] : "identity"), 0);
  }
  if (heads > 1) put(layer("concat", nodes, {}), 0);
  return drawn;
}

inline std::string told(const Drawn& drawn) {
  std::string all = std::to_string(drawn.inputs.size()) + " inputs ";
  for (const nn::LayerSpec& spec : drawn.specs) {
    all += spec.kind + '(';
    for (const int input : spec.inputs) all += std::to_string(input) + ' ';
    all += ") ";
  }
  return all;
}

}  // namespace gd::testing

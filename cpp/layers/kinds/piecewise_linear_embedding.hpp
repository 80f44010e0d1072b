#pragma once

#include <algorithm>

#include "layers/embedding_parts.hpp"

namespace gd::layers {

// y = f(W e(x)) + v x + b: each number x of a row has a place e between the edges of its column's
// bins, 1 for the bins below it, its share of the bin that it is in, 0 beyond; the first and the
// last bin go on outwards. Version "A" has b within f and no v.
// Gorishniy, Rubachev, Babenko: "On embeddings for numerical features in tabular deep learning",
// NeurIPS 2022; version "B" is that of Gorishniy, Kotelnikov, Babenko: "TabM: advancing tabular
// deep learning with parameter-efficient ensembling", ICLR 2025.
struct piecewise_linear_embedding {
  static constexpr const char* name = "piecewise_linear_embedding";

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    using base::require;
    check_inputs(node, inputs, 1);
    const nn::LayerSpec& spec = node.spec;
    const auto size = spec.get<int64_t>("size");
    const auto& edges = spec.get<std::vector<double>>("edges");
    const auto& counts = spec.get<std::vector<double>>("edge_counts");
    const int64_t columns = inputs.width();
    require<base::ValueError>(size >= 1, "size of layer '", spec.name, "' must be at least 1, got ",
                              size);
    require<base::ValueError>(static_cast<int64_t>(counts.size()) == columns, "bins of layer '",
                              spec.name, "' must be those of each column of its input, ", columns,
                              ", got those of ", counts.size());
    const std::string what = "an edge in bins of layer '" + spec.name + "'";
    for (size_t f = 0, at = 0; f < counts.size(); ++f) {
      for (int64_t j = 0; j < static_cast<int64_t>(counts[f]); ++j, ++at) {
        const T edge = base::representable<T>(edges.at(at), what);
        require<base::ValueError>(
            j == 0 || edge > static_cast<T>(edges[at - 1]), "bins of layer '", spec.name,
            "' must have edges that grow in ", sizeof(T) == 4 ? "float32" : "float64", ", got ",
            edges[at - (j == 0 ? 0 : 1)], " and ", edges[at], " in column ", f);
      }
    }
    const plan::ActivationUse<T> use = activation_of<T>(spec);
    require<base::ValueError>(use.kernel == nullptr || !use.kernel->row_wise, "layer '", spec.name,
                              "' embeds each column by itself, activation '",
                              spec.get<std::string>("activation"), "' needs whole rows");
    node.width = width_of(spec, columns, size);
    const int64_t most = most_bins(spec);
    width_of(spec, columns, most);
    nn::EntrySpec kept = vector_of("bins", static_cast<int64_t>(edges.size()), 0);
    kept.role = nn::Role::state;
    kept.start = [edges](base::RandomStream&, std::span<const double>, std::span<double> own) {
      std::ranges::copy(edges, own.begin());
    };
    node.entries.push_back(kept);
    nn::EntrySpec weight = matrices_of("linear.weight", columns, most, size);
    if (!is_b(spec)) {
      node.entries.push_back(weight);
      node.entries.push_back(drawn_table("linear.bias", columns, size, most));
      return;
    }
    for (const char* entry : {"linear0.weight", "linear0.bias"}) {
      node.entries.push_back(drawn_table(entry, columns, size, size));
    }
    weight.initializer.clear();  // zeros: at first only the linear part is there
    node.entries.push_back(weight);
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::BlocksShape shape = shape_of(b);
    plan::cover_blocks(b, shape);
    const plan::ValueId places = b.value(shape.count * shape.inputs), z = b.value(b.width());
    b.keep("places", places);
    b.keep("z", z);
    const Bins bins = bins_of(b);
    b.add(plan::row_step<T>(plan::Zone::kActivationForward, plan::Zone::kForward, b.node(),
                            {b.input()}, {places}, 3,
                            [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
                              const T* edges = batch.state + bins.offset;
                              for (size_t f = 0; f < bins.counts.size(); ++f) {
                                const int64_t count = bins.counts[f];
                                T* const to = out[0] + static_cast<int64_t>(f) * bins.most;
                                place(in[0][f], edges, count, to, bins.most);
                                edges += count + 1;
                              }
                            }));
    b.add(plan::blocks_forward_step<T>(b, shape, places, z));
    const plan::ValueId made = b.activate(activation_of<T>(b.spec()), z);
    b.keep("made", made);
    if (!is_b(b.spec())) return b.set_output(made);
    const plan::ValueId y = b.value(b.width());
    const int64_t weight = b.parameter("linear0.weight")->offset;
    const int64_t bias = b.parameter("linear0.bias")->offset;
    const int64_t columns = shape.count, size = shape.units;
    auto step =
        plan::row_step<T>(plan::Zone::kAdd, plan::Zone::kForward, b.node(), {b.input(), made}, {y},
                          3, [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
                            for (int64_t f = 0; f < columns; ++f) {
                              const T x = in[0][f];
                              const T* const w = batch.parameters + weight + f * size;
                              const T* const c = batch.parameters + bias + f * size;
                              const T* const rest = in[1] + f * size;
                              T* const to = out[0] + f * size;
                              for (int64_t j = 0; j < size; ++j)
                                to[j] = (x * w[j] + c[j]) + rest[j];
                            }
                          });
    step.parameters_read = {weight, bias};
    b.add(std::move(step));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::BlocksShape shape = shape_of(b);
    const plan::ValueId gradient = b.gradient_of(b.output()), made = b.kept("made");
    const plan::ActivationUse<T> use = activation_of<T>(b.spec());
    plan::ValueId delta = gradient;
    if (is_b(b.spec())) {
      // The linear part sees the gradient as it comes.
      if (made != b.kept("z")) {
        delta = b.value(b.width());
        b.add(plan::copy_step<T>(b.node(), gradient, delta));
      }
      add_linear_backward(b, gradient);
    }
    b.activate_backward(use, b.kept("z"), made, delta);
    const bool wants = b.wants_gradient();
    const plan::ValueId at_places = blocks_backward<T>(b, shape, b.kept("places"), delta, wants);
    if (!wants) return;
    const Bins bins = bins_of(b);
    b.give_gradient(0, [&](plan::ValueId to) {
      b.add(plan::row_step<T>(
          plan::Zone::kActivationBackward, plan::Zone::kBackward, b.node(), {b.input(), at_places},
          {to}, 3, [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
            const T* edges = batch.state + bins.offset;
            for (size_t f = 0; f < bins.counts.size(); ++f) {
              const int64_t count = bins.counts[f];
              out[0][f] = slope(in[0][f], edges, count, in[1] + static_cast<int64_t>(f) * bins.most,
                                bins.most);
              edges += count + 1;
            }
          }));
    });
  }

 private:
  struct Bins {
    int64_t offset = 0;           // of all edges in the state
    int64_t most = 0;             // of a column
    std::vector<int64_t> counts;  // of each, bins
  };

  static bool is_b(const nn::LayerSpec& spec) { return spec.get<std::string>("version") == "B"; }

  static int64_t most_bins(const nn::LayerSpec& spec) {
    const auto& counts = spec.get<std::vector<double>>("edge_counts");
    return static_cast<int64_t>(*std::ranges::max_element(counts)) - 1;
  }

  template <class T>
  static Bins bins_of(const plan::Builder<T>& b) {
    Bins bins;
    bins.offset = b.kept_entry("bins").offset;
    bins.most = most_bins(b.spec());
    for (const double edges : b.spec().template get<std::vector<double>>("edge_counts")) {
      bins.counts.push_back(static_cast<int64_t>(edges) - 1);
    }
    return bins;
  }

  template <class T>
  static plan::BlocksShape shape_of(const plan::Builder<T>& b) {
    plan::BlocksShape shape;
    shape.count = b.input_width();
    shape.inputs = most_bins(b.spec());
    shape.units = b.width() / shape.count;
    shape.weight = b.parameter("linear.weight")->offset;
    if (const nn::Parameter* const bias = b.parameter("linear.bias")) shape.bias = bias->offset;
    return shape;
  }

  // Where bin j is among `most`: the last one of a column with fewer stands at the end, so that
  // weights are those of rtdl_num_embeddings.
  static int64_t place_of(int64_t j, int64_t count, int64_t most) {
    return j + 1 == count ? most - 1 : j;
  }

  template <class T>
  static void place(T x, const T* edges, int64_t count, T* to, int64_t most) {
    if (count < most) std::fill_n(to, most, T{0});
    for (int64_t j = 0; j < count; ++j) {
      T share = (x - edges[j]) / (edges[j + 1] - edges[j]);
      if (j > 0) share = share > 0 ? share : T{0};
      if (j + 1 < count) share = share < 1 ? share : T{1};
      to[place_of(j, count, most)] = share;
    }
  }

  // The gradient at x from those at its places; at an edge that of both sides, as a clamp's.
  template <class T>
  static T slope(T x, const T* edges, int64_t count, const T* g, int64_t most) {
    T sum = 0;
    for (int64_t j = 0; j < count; ++j) {
      const T width = edges[j + 1] - edges[j];
      const T share = (x - edges[j]) / width;
      const bool below = j > 0 && share < 0, above = j + 1 < count && share > 1;
      if (!below && !above) sum += g[place_of(j, count, most)] / width;
    }
    return sum;
  }

  template <class T>
  static void add_linear_backward(plan::Builder<T>& b, plan::ValueId gradient) {
    const plan::ValueId each = b.value(b.width());
    const int64_t weight = b.parameter("linear0.weight")->offset;
    const int64_t columns = b.input_width(), size = b.width() / columns;
    const auto add = [&](plan::ValueId to) {
      auto step = plan::row_step<T>(
          plan::Zone::kActivationBackward, plan::Zone::kBackward, b.node(), {b.input(), gradient},
          {each, to}, 3, [=](const plan::Batch<T>& batch, const auto& in, const auto& out) {
            for (int64_t f = 0; f < columns; ++f) {
              const int64_t at = f * size;
              const T x = in[0][f];
              const T* const g = in[1] + at;
              const T* const w = batch.parameters + weight + at;
              T* const by_x = out[0] + at;
              for (int64_t j = 0; j < size; ++j) by_x[j] = g[j] * x;
              if (out[1] == nullptr) continue;
              T sum = 0;
              for (int64_t j = 0; j < size; ++j) sum += g[j] * w[j];
              out[1][f] = sum;
            }
          });
      step.parameters_read = {weight};
      b.add(std::move(step));
    };
    if (b.wants_gradient()) {
      b.give_gradient(0, add);
    } else {
      add(plan::kNoValue);
    }
    b.add(plan::column_sum_step<T>(b, each, weight));
    b.add(plan::column_sum_step<T>(b, gradient, b.parameter("linear0.bias")->offset));
  }
};

}  // namespace gd::layers

// Gradients of graphs against central differences, at parameters and at the input; and the same
// bits however a batch is shared.

#include <cstdlib>
#include <random>

#include "base/check.hpp"
#include "cpp/layers/support.hpp"

using gd::nn::LayerSpec;
using gd::nn::Network;
using gd::plan::Batch;
using gd::plan::Plan;
using gd::plan::PlanKind;
using gd::testing::activation_behind;
using gd::testing::batch_norm_behind;
using gd::testing::dense_behind;
using gd::testing::dense_of_kind;
using gd::testing::dropout_behind;
using gd::testing::ensemble_behind;
using gd::testing::layer;
using gd::testing::network_of;
using gd::testing::norm_behind;
using gd::testing::options_of;
using gd::testing::parametric_behind;
using gd::testing::periodic_behind;
using gd::testing::piecewise_behind;
using gd::testing::Samples;
using gd::testing::standardize_behind;
using gd::testing::text;

namespace {

constexpr int64_t kRows = 7;
constexpr int64_t kInputs = 4;

using Specs = std::vector<LayerSpec>;

// Of the fourth order (Richardson): what is normalized may bend sharply.
double difference(double& value, const std::function<double()>& loss) {
  const double here = value;
  const auto central = [&](double h) {
    value = here + h;
    const double up = loss();
    value = here - h;
    const double down = loss();
    value = here;
    return (up - down) / (2 * h);
  };
  const double h = 1e-4 * std::max(1.0, std::abs(here));
  return (4 * central(h / 2) - central(h)) / 3;
}

// How far gradients are from differences, in norm. A difference is off by 1e-10 from rounding
// alone: that much is allowed to each.
class Distance {
 public:
  void add(double got, double want) {
    off_ += (got - want) * (got - want);
    length_ += want * want + 1e-8;
  }
  double relative() const { return std::sqrt(off_ / length_); }

 private:
  double off_ = 0;
  double length_ = 1e-8;
};

// Of the mean squared error by every parameter, as checks do it; and of a weighted sum of outputs
// by the input and every parameter with what dropout draws, as training does.
void check_gradients(const Specs& specs, const std::string& where) {
  auto network = network_of<double>(specs, kInputs);
  const int64_t outputs = network.output_size();
  Samples<double> samples(kRows, kInputs, network.target_size(), 11);
  const Batch<double> batch = samples.batch(kRows, false);
  Plan<double> gradient(network, options_of<double>(PlanKind::gradient, kRows, "mse"));
  Plan<double> evaluation(network, options_of<double>(PlanKind::evaluation, kRows, "mse"));
  CHECK_AT(gradient.step(batch) == evaluation.step(batch), where);
  Distance checked;
  for (const gd::nn::Parameter& p : network.parameters()) {
    for (int64_t i = p.offset; i < p.offset + p.size(); ++i) {
      const double want = difference(network.values()[i], [&] { return evaluation.step(batch); });
      checked.add(network.gradients()[i], want);
    }
  }
  CHECK_AT(checked.relative() < 1e-6, where, " parameters ", checked.relative());

  Plan<double> outside(network, options_of<double>(PlanKind::differentiable, kRows));
  const auto factors = gd::testing::normals<double>(kRows * outputs, 14);
  std::vector<double> at_input(static_cast<size_t>(kRows * kInputs));
  const auto sum = [&] {
    outside.forward(samples.batch(kRows, false));
    double total = 0;
    for (int64_t i = 0; i < kRows; ++i) {
      for (int64_t j = 0; j < outputs; ++j) {
        total += factors[static_cast<size_t>(i * outputs + j)] * outside.output(kRows)(i, j);
      }
    }
    return total;
  };
  outside.forward(samples.batch(kRows, false));
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < outputs; ++j) {
      outside.output_gradient(kRows)(i, j) = factors[static_cast<size_t>(i * outputs + j)];
    }
  }
  Batch<double> back = samples.batch(kRows, false);
  back.input_gradient = at_input.data();
  outside.backward(back);
  Distance input;
  for (size_t i = 0; i < at_input.size(); ++i) {
    input.add(at_input[i], difference(samples.x[i], sum));
  }
  CHECK_AT(input.relative() < 1e-6, where, " input ", input.relative());
  Distance drawn;
  for (const gd::nn::Parameter& p : network.parameters()) {
    for (int64_t i = p.offset; i < p.offset + p.size(); ++i) {
      drawn.add(network.gradients()[i], difference(network.values()[i], sum));
    }
  }
  CHECK_AT(drawn.relative() < 1e-6, where, " drawn ", drawn.relative());
}

// Layers of an ensemble at random, behind node `from`.
void draw_ensemble(std::mt19937& random, int from, int64_t width, Specs& specs) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
  const char* const smooth[] = {"tanh", "gelu", "softmax", "identity"};
  const int64_t members = 2 + below(3);
  int at = from;
  const auto put = [&](LayerSpec spec) {
    specs.push_back(std::move(spec));
    at = static_cast<int>(specs.size());
  };
  int64_t units = 1 + below(5);
  switch (below(3)) {
    case 0:
      put(layer("ensemble_scale", {at}, {{"members", members}}));
      units = width;
      break;
    case 1:
      put(ensemble_behind(at, units, members, true, smooth[below(4)], below(3) > 0));
      break;
    default:
      put(ensemble_behind(at, units, members, false, smooth[below(4)], below(3) > 0));
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
        put(below(3) == 0 ? batch_norm_behind(at) : layer("scale", {at}, {}));
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
                          : ensemble_behind(at, units, members, below(2) == 0, smooth[below(4)]));
    }
  }
  put(ensemble_behind(at, 3, members, below(2) == 0, smooth[below(4)]));
}

// Layers at random, each behind one that is there already, joined where the widths allow it; in
// the end all that nobody reads is joined too, and may become an ensemble. Without `kinks` all are
// smooth.
Specs drawn_graph(uint32_t seed, bool kinks = false) {
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
  const char* const smooth[] = {"tanh", "gelu", "silu", "sigmoid", "softmax", "identity"};
  Specs specs;
  std::vector<int64_t> widths = {kInputs};
  std::vector<bool> read = {false};
  const auto put = [&](LayerSpec spec, int64_t width) {
    for (const int input : spec.inputs) read[static_cast<size_t>(input)] = true;
    specs.push_back(std::move(spec));
    widths.push_back(width);
    read.push_back(false);
  };
  const int count = 2 + below(8);
  for (int i = 0; i < count; ++i) {
    const int from = below(3) == 0 ? below(static_cast<int>(widths.size()))
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
          put(dense_of_kind(below(2) == 0 ? "ntk_dense" : "weight_norm_dense", from, units,
                            smooth[below(6)]),
              units);
        }
        break;
      case 0:
        put(norm_behind(from, below(2) == 0 ? "layer_norm" : "rms_norm", below(3) > 0), width);
        break;
      case 1:
        put(activation_behind(from, smooth[below(6)]), width);
        break;
      case 2:
        if (below(3) == 0) {
          put(batch_norm_behind(from, below(3) > 0), width);
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
          if (widths[j] == width) same.push_back(static_cast<int>(j));
        }
        const int other = same[static_cast<size_t>(below(static_cast<int>(same.size())))];
        put(layer("add", {from, other}, {}), width);
        break;
      }
      case 4: {
        const int other = below(static_cast<int>(widths.size()));
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
  if (below(4) == 0) {
    draw_ensemble(random, static_cast<int>(specs.size()), widths.back(), specs);
    return specs;
  }
  put(dense_behind(static_cast<int>(specs.size()), 3, smooth[below(6)]), 3);
  return specs;
}

std::string told(const Specs& specs) {
  std::string all;
  for (const LayerSpec& spec : specs) {
    all += spec.kind + '(';
    for (const int input : spec.inputs) all += std::to_string(input) + ' ';
    all += ") ";
  }
  return all;
}

}  // namespace

TEST(each_layer_has_right_gradients) {
  for (const char* kind : {"layer_norm", "rms_norm"}) {
    for (const bool affine : {true, false}) {
      check_gradients({norm_behind(0, kind, affine), dense_behind(1, 3)}, text(kind, " first"));
      check_gradients({dense_behind(0, 5, "tanh"), norm_behind(1, kind, affine)},
                      text(kind, " last"));
      check_gradients({dense_behind(0, 5), norm_behind(1, kind, affine),
                       activation_behind(2, "gelu"), dense_behind(3, 3)},
                      text(kind, " between"));
    }
  }
  check_gradients({dense_behind(0, 4, "tanh"), layer("add", {0, 1}, {}), dense_behind(2, 3)},
                  "residual");
  check_gradients({dense_behind(0, 4), layer("add", {1, 1}, {}), dense_behind(2, 3)}, "twice");
  check_gradients(
      {dense_behind(0, 4), dense_behind(0, 2), layer("concat", {1, 0, 2}, {}), dense_behind(3, 3)},
      "concat");
  check_gradients({dense_behind(0, 4), dropout_behind(1, 0.5), dense_behind(2, 3)}, "dropout");
  for (const bool affine : {true, false}) {
    const auto norm = [&](int input) { return batch_norm_behind(input, affine); };
    check_gradients({norm(0), dense_behind(1, 3)}, "batch_norm first");
    check_gradients({dense_behind(0, 5), norm(1), activation_behind(2, "gelu"), dense_behind(3, 3)},
                    "batch_norm between");
    check_gradients({dense_behind(0, 4), norm(1), layer("add", {0, 2}, {}), norm(3)},
                    "batch_norm last");
  }
  check_gradients({dropout_behind(0, 0.5)}, "nothing but dropout");
  check_gradients({layer("scale", {0}, {}), dense_behind(1, 4), layer("scale", {2}, {})}, "scale");
  for (const bool shared : {true, false}) {
    const auto prelu = [&](int input) {
      return layer("prelu", {input}, {{"init", 0.25}, {"shared", shared}});
    };
    check_gradients({prelu(0), dense_behind(1, 4), prelu(2), dense_behind(3, 3)}, "prelu");
  }
  for (const char* gate : {"sigmoid", "silu", "gelu", "identity", "softmax"}) {
    const auto glu = [&](int input) {
      return layer(
          "glu", {input},
          {{"activation", std::string(gate)}, {"activation_parameters", std::vector<double>{}}});
    };
    check_gradients({glu(0), dense_behind(1, 6), glu(2)}, text("glu ", gate));
  }
  for (const char* kind : {"ntk_dense", "weight_norm_dense"}) {
    check_gradients({dense_of_kind(kind, 0, 5, "tanh"), dense_of_kind(kind, 1, 40, "gelu"),
                     dense_of_kind(kind, 2, 3)},
                    kind);
  }
  check_gradients({standardize_behind(0, kInputs), dense_behind(1, 4), standardize_behind(2, 4)},
                  "standardize");
  for (const char* f : {"tanh", "gelu", "silu", "identity"}) {
    check_gradients({parametric_behind(0, f), dense_behind(1, 4), parametric_behind(2, f)},
                    text("parametric ", f));
  }
  for (int form = 0; form < 8; ++form) {
    const gd::testing::Waves waves{form % 2 != 0, form / 2 % 2 != 0, form / 4 != 0, 3, "tanh"};
    check_gradients({periodic_behind(0, waves), dense_behind(1, 4), periodic_behind(2, waves)},
                    text("periodic ", form));
  }
  check_gradients({layer("linear_relu_embedding", {0}, {{"size", int64_t{3}}}), dense_behind(1, 2),
                   layer("linear_relu_embedding", {2}, {{"size", int64_t{2}}})},
                  "linear_relu");
  for (const char* version : {"A", "B"}) {
    check_gradients({piecewise_behind(0, kInputs, version, "tanh"), dense_behind(1, 3),
                     piecewise_behind(2, 3, version)},
                    text("piecewise ", version));
  }
  for (const bool shared : {true, false}) {
    for (const char* f : {"tanh", "softmax", "identity"}) {
      check_gradients({ensemble_behind(0, 5, 3, shared, f), ensemble_behind(1, 2, 3, shared)},
                      text("ensemble ", shared, f));
      check_gradients(
          {dense_behind(0, 3), ensemble_behind(1, 4, 2, shared, f), dense_behind(2, 3, f),
           layer("ensemble_scale", {3}, {{"members", int64_t{2}}})},
          text("members ", shared, f));
    }
  }
  check_gradients({activation_behind(0, "tanh"), dense_behind(1, 3)}, "activation first");
  check_gradients({dense_behind(0, 3), activation_behind(1, "identity")}, "identity last");
}

// GDCORE_DRAWN_GRAPHS asks for more of them.
TEST(drawn_graphs_have_right_gradients) {
  const char* const asked = std::getenv("GDCORE_DRAWN_GRAPHS");
  const auto count = static_cast<uint32_t>(asked == nullptr ? 1000 : std::atoi(asked));
  for (uint32_t seed = 0; seed < count; ++seed) {
    const Specs specs = drawn_graph(seed);
    check_gradients(specs, text("seed ", seed, " ", told(specs)));
  }
}

namespace {

// Values after a few steps, with dropout and all.
template <class T>
std::vector<T> trained(const Specs& specs, int workers, int64_t rows) {
  auto network = network_of<T>(specs, kInputs);
  const Samples<T> samples(rows, kInputs, network.target_size(), 11);
  gd::optim::ElementwiseRule<T> rule("sgd", {0.05, 0, 0, 0, 0});
  auto options = options_of<T>(PlanKind::training, rows, "mse", workers);
  options.rule = &rule;
  options.update.extents = network.extents();
  options.update.weights = network.values();
  options.update.gradients = network.gradients();
  Plan<T> plan(network, options);
  for (int step = 1; step <= 3; ++step) {
    rule.begin_step(0.05, step);
    Batch<T> batch = samples.batch(rows, false);
    batch.draw = {7, static_cast<uint64_t>(step), 0};
    plan.step(batch);
  }
  return std::vector<T>(network.values(), network.values() + network.flat_size());
}

}  // namespace

TEST(drawn_graphs_train_to_the_same_bits_on_any_number_of_workers) {
  gd::testing::for_both_types([]<class T>() {
    for (uint32_t seed = 0; seed < 40; ++seed) {
      const Specs specs = drawn_graph(seed, true);
      const std::vector<T> want = trained<T>(specs, 1, 300);
      for (const int workers : gd::testing::kWorkerCounts) {
        CHECK_SAME(trained<T>(specs, workers, 300), want, "seed ", seed, " workers ", workers);
      }
    }
  });
}

TEST(rows_do_not_see_each_other_in_inference) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    auto network = network_of<float>(drawn_graph(seed, true), kInputs);
    const Samples<float> samples(kRows, kInputs, network.target_size(), 11);
    Plan<float> together(network, options_of<float>(PlanKind::inference, kRows));
    Plan<float> alone(network, options_of<float>(PlanKind::inference, 1));
    together.forward(samples.batch(kRows, false));
    for (int64_t i = 0; i < kRows; ++i) {
      Batch<float> row = samples.batch(1, false);
      row.x += i * kInputs;
      alone.forward(row);
      CHECK_SAME(alone.output(1).row(0), together.output(kRows).row(i),
                 static_cast<size_t>(network.output_size()), "seed ", seed);
    }
  }
}

TEST(graphs_that_cannot_be_are_refused) {
  const auto error_of = [](Specs specs) -> std::string {
    try {
      gd::layers::graph_of<float>(std::move(specs), {kInputs});
    } catch (const gd::base::ValueError& error) {
      return error.what();
    }
    return "";
  };
  const auto says = [&](Specs specs, const std::string& what) {
    const std::string error = error_of(std::move(specs));
    CHECK_AT(error.find(what) != std::string::npos, error);
  };
  says({dense_behind(1, 3)}, "reads what comes after it");
  says({dense_behind(0, 3), dense_behind(0, 3)}, "is read by no layer");
  says({layer("dense", {}, {})}, "reads nothing");
  says({layer("nothing", {0}, {})}, "unknown kind of layer 'nothing', expected one of: ");
  says({dense_behind(0, 3), layer("add", {0, 1}, {})}, "of one width, got 4 and 3");
  says({layer("add", {0}, {})}, "adds at least 2 values, got 1");
  says({layer("concat", {0}, {})}, "joins at least 2 values, got 1");
  says({dropout_behind(0, 1.0)}, "must be in [0, 1), got 1");
  says({layer("layer_norm", {0}, {{"eps", -1.0}, {"affine", true}})}, "must be at least 0, got -1");
  says({layer("dropout", {0}, {})}, "lacks the option 'rate'");
  says({layer("dropout", {0}, {{"rate", true}})}, "of the wrong type");
  says({standardize_behind(0, 3)}, "must be as many as its input has columns, 4, got 3");
  const std::vector<double> four(4, 1.0), zeros(4, 0.0);
  says({layer("standardize", {0}, {{"means", four}, {"scales", zeros}})}, "must be above 0, got 0");
  says({parametric_behind(0, "softmax")}, "activation 'softmax' needs whole rows");
  says({periodic_behind(0, {false, false, true, 1})}, "must be at least 2 where the input");
  says({piecewise_behind(0, 3, "A")}, "must be those of each column of its input, 4, got those of");
  says({ensemble_behind(0, 2, 1, true)}, "members of layer");
  says({ensemble_behind(0, 2, 3, true), ensemble_behind(1, 2, 2, true)}, "must be the 3 of its");
  says({ensemble_behind(0, 2, 3, true), norm_behind(1, "layer_norm")},
       "of kind 'layer_norm' cannot stand behind the 3 members of an ensemble");
  says({ensemble_behind(0, 4, 2, true), dense_behind(0, 8), layer("add", {1, 2}, {})},
       "of as many members, got 2 and 1");
}

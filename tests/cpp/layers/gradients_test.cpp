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
using gd::testing::dropout_behind;
using gd::testing::layer;
using gd::testing::network_of;
using gd::testing::norm_behind;
using gd::testing::options_of;
using gd::testing::Samples;
using gd::testing::text;

namespace {

constexpr int64_t kRows = 7;
constexpr int64_t kInputs = 4;

using Specs = std::vector<LayerSpec>;

struct Drawn {
  Drawn(Specs layers) : specs(std::move(layers)) {}  // NOLINT(google-explicit-constructor)
  Drawn(std::initializer_list<LayerSpec> layers) : specs(layers) {}

  template <class T>
  Network<T> network() const {
    return network_of<T>(specs, inputs, heads);
  }
  // With a loss: that of each head, or one.
  template <class T>
  gd::plan::PlanOptions<T> options(PlanKind kind, int64_t rows, int workers = 1) const {
    auto options = options_of<T>(kind, rows, heads.empty() ? "mse" : "", workers);
    const char* const losses[] = {"huber", "mse", "bce_with_logits"};
    for (size_t h = 0; h < heads.size(); ++h) {
      const auto loss = gd::testing::loss_named(losses[h % 3]);
      options.loss.heads.push_back({loss.name, loss.parameters, 0.5 + static_cast<double>(h)});
    }
    return options;
  }

  // Codes where an input holds them.
  template <class T>
  Samples<T> samples(int64_t rows, int64_t outputs) const {
    Samples<T> made(rows, kInputs, outputs, 11);
    int64_t column = 0;
    for (const gd::nn::InputSpec& input : inputs) {
      for (const int64_t codes : input.categories) {
        const auto own = gd::testing::labels_below(codes, rows, static_cast<uint64_t>(column));
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
  std::vector<gd::nn::InputSpec> inputs = {kInputs};
  std::vector<gd::nn::Head> heads;
};

// Samples as a batch, and what it points to.
template <class T>
struct HeadsBatch {
  HeadsBatch(const Drawn& drawn, const Network<T>& network, const Samples<T>& samples, int64_t rows)
      : batch(samples.batch(rows, false)) {
    int64_t column = 0;
    for (const gd::nn::Head& head : drawn.heads) {
      gd::plan::HeadBatch<T> own;
      own.target = samples.target.data() + column;
      own.target_stride = samples.outputs;
      own.weight_sum = static_cast<double>(rows);
      if (column > 0) {  // all but the first are weighted
        own.weights = samples.weights.data();
        own.weight_sum = samples.batch(rows, false, true).weight_sum;
      }
      heads.push_back(own);
      column += network.graph().width(head.node);
    }
    if (heads.empty()) return;
    batch.heads = heads.data();
    batch.target = nullptr;
    batch.weight_sum = 1;
  }

  std::vector<gd::plan::HeadBatch<T>> heads;
  Batch<T> batch;
};

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
void check_gradients(const Drawn& drawn, const std::string& where) {
  auto network = drawn.network<double>();
  const int64_t outputs = network.output_size();
  Samples<double> samples = drawn.samples<double>(kRows, outputs);
  const HeadsBatch<double> with_targets(drawn, network, samples, kRows);
  const Batch<double>& batch = with_targets.batch;
  Plan<double> gradient(network, drawn.options<double>(PlanKind::gradient, kRows));
  Plan<double> evaluation(network, drawn.options<double>(PlanKind::evaluation, kRows));
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
    if (static_cast<int64_t>(i) % kInputs >= drawn.differentiable_inputs()) continue;
    input.add(at_input[i], difference(samples.x[i], sum));
  }
  CHECK_AT(input.relative() < 1e-6, where, " input ", input.relative());
  Distance by_parameter;
  for (const gd::nn::Parameter& p : network.parameters()) {
    for (int64_t i = p.offset; i < p.offset + p.size(); ++i) {
      by_parameter.add(network.gradients()[i], difference(network.values()[i], sum));
    }
  }
  CHECK_AT(by_parameter.relative() < 1e-6, where, " drawn ", by_parameter.relative());
}

// Layers at random over one to three inputs, each behind one that is there already, joined where
// the widths allow it; in the end all that nobody reads is joined too, and makes one to three
// outputs.
Drawn drawn_graph(uint32_t seed) {
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
  for (const gd::nn::InputSpec& input : drawn.inputs) widths.push_back(input.width);
  std::vector<bool> read(widths.size());
  const auto put = [&](LayerSpec spec, int64_t width) {
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
    switch (below(8)) {
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
  if (open.size() > 1) put(layer("concat", open, {}), 0);
  const int last = static_cast<int>(widths.size()) - 1;
  const int heads = below(3) == 0 ? 1 + below(3) : 0;
  if (heads == 0) put(dense_behind(last, 3, smooth[below(6)]), 3);
  std::vector<int> nodes;
  for (int h = 0; h < heads; ++h) {
    nodes.push_back(static_cast<int>(widths.size()));
    drawn.heads.push_back({"h" + std::to_string(h), nodes.back()});
    // The last may read the one before.
    const int from = h == 2 && below(2) == 0 ? nodes[1] : last;
    put(dense_behind(from, 1 + below(3), h < 2 ? smooth[below(6)] : "identity"), 0);
  }
  if (heads > 1) put(layer("concat", nodes, {}), 0);
  return drawn;
}

std::string told(const Drawn& drawn) {
  std::string all = std::to_string(drawn.inputs.size()) + " inputs ";
  for (const LayerSpec& spec : drawn.specs) {
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
  check_gradients({activation_behind(0, "tanh"), dense_behind(1, 3)}, "activation first");
  check_gradients({dense_behind(0, 3), activation_behind(1, "identity")}, "identity last");
}

// GDCORE_DRAWN_GRAPHS asks for more of them.
TEST(drawn_graphs_have_right_gradients) {
  const char* const asked = std::getenv("GDCORE_DRAWN_GRAPHS");
  const auto count = static_cast<uint32_t>(asked == nullptr ? 1000 : std::atoi(asked));
  for (uint32_t seed = 0; seed < count; ++seed) {
    const Drawn drawn = drawn_graph(seed);
    check_gradients(drawn, text("seed ", seed, " ", told(drawn)));
  }
}

namespace {

// Values after a few steps, with dropout and all.
template <class T>
std::vector<T> trained(const Drawn& drawn, int workers, int64_t rows) {
  auto network = drawn.network<T>();
  const Samples<T> samples = drawn.samples<T>(rows, network.output_size());
  gd::optim::ElementwiseRule<T> rule("sgd", {0.05, 0, 0, 0, 0});
  const HeadsBatch<T> with_targets(drawn, network, samples, rows);
  auto options = drawn.options<T>(PlanKind::training, rows, workers);
  options.rule = &rule;
  options.update.extents = network.extents();
  options.update.weights = network.values();
  options.update.gradients = network.gradients();
  Plan<T> plan(network, options);
  for (int step = 1; step <= 3; ++step) {
    rule.begin_step(0.05, step);
    Batch<T> batch = with_targets.batch;
    batch.draw = {7, static_cast<uint64_t>(step), 0};
    plan.step(batch);
  }
  return std::vector<T>(network.values(), network.values() + network.flat_size());
}

}  // namespace

TEST(drawn_graphs_train_to_the_same_bits_on_any_number_of_workers) {
  gd::testing::for_both_types([]<class T>() {
    for (uint32_t seed = 0; seed < 40; ++seed) {
      const Drawn drawn = drawn_graph(seed);
      const std::vector<T> want = trained<T>(drawn, 1, 300);
      for (const int workers : gd::testing::kWorkerCounts) {
        CHECK_SAME(trained<T>(drawn, workers, 300), want, "seed ", seed, " workers ", workers);
      }
    }
  });
}

TEST(rows_do_not_see_each_other_in_inference) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const Drawn drawn = drawn_graph(seed);
    auto network = drawn.network<float>();
    const int64_t outputs = network.output_size();
    const Samples<float> samples = drawn.samples<float>(kRows, outputs);
    Plan<float> together(network, options_of<float>(PlanKind::inference, kRows));
    Plan<float> alone(network, options_of<float>(PlanKind::inference, 1));
    together.forward(samples.batch(kRows, false));
    for (int64_t i = 0; i < kRows; ++i) {
      Batch<float> row = samples.batch(1, false);
      row.x += i * kInputs;
      alone.forward(row);
      CHECK_SAME(alone.output(1).row(0), together.output(kRows).row(i), outputs, "seed ", seed);
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
  const auto says_of = [&](std::vector<gd::nn::InputSpec> inputs, const std::string& what) {
    std::string error;
    try {
      gd::layers::graph_of<float>({layer("concat", {0, 1}, {})}, std::move(inputs));
    } catch (const gd::base::ValueError& found) {
      error = found.what();
    }
    CHECK_AT(error.find(what) != std::string::npos, error);
  };
  const auto input = [](const std::string& name, int64_t width, std::vector<int64_t> codes = {}) {
    return gd::nn::InputSpec(name, width, std::move(codes));
  };
  says_of({}, "at least one input");
  says_of({input("a", 2), input("", 2)}, "input 1 must have a name");
  says_of({input("a", 2), input("a", 2)}, "two inputs are named 'a'");
  says_of({input("a", 2), input("b", 0)}, "input 'b' must have at least 1 column, got 0");
  says_of({input("a", INT64_MAX), input("b", 2)}, "more columns than can be addressed");
  says_of({input("a", 2), input("b", 2, {3})}, "input 'b' has 2 columns, got 1 categories");
  says_of({input("a", 2), input("b", 1, {0})}, "at least 1 category in column 0, got 0");
  says_of({input("a", 2), input("b", 1, {1 << 25})}, "has 33554432 categories in column 0");
  says_of({input("a", 2), input("b", 1, {3})}, "reads numbers, and input 'b' holds codes");
  says_of({input("a", 2), input("b", 1), input("c", 1)}, "input 'c' is read by no layer");
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
}

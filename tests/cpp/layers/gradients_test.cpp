// Gradients of graphs against central differences, at parameters and at the input; and the same
// bits however a batch is shared.

#include <cstdlib>

#include "base/check.hpp"
#include "cpp/layers/drawn.hpp"
#include "kernels/dispatch.hpp"
#include "optim/elementwise_rule.hpp"

using gd::nn::Network;
using gd::plan::Batch;
using gd::plan::Plan;
using gd::plan::PlanKind;
using gd::testing::activation_behind;
using gd::testing::batch_norm_behind;
using gd::testing::dense_behind;
using gd::testing::dense_of_kind;
using gd::testing::Drawn;
using gd::testing::drawn_graph;
using gd::testing::dropout_behind;
using gd::testing::ensemble_behind;
using gd::testing::kInputs;
using gd::testing::layer;
using gd::testing::network_of;
using gd::testing::norm_behind;
using gd::testing::options_of;
using gd::testing::parametric_behind;
using gd::testing::periodic_behind;
using gd::testing::piecewise_behind;
using gd::testing::Samples;
using gd::testing::Specs;
using gd::testing::standardize_behind;
using gd::testing::text;
using gd::testing::told;

namespace {

constexpr int64_t kRows = 7;

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
  Samples<double> samples = drawn.samples<double>(kRows, network.target_size());
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
  for (const int64_t ghost : {2, 3, 5, 7, 8}) {  // of seven rows: one left over, joined, and alone
    const auto norm = [&](int input) { return batch_norm_behind(input, true, ghost); };
    check_gradients({dense_behind(0, 5), norm(1), activation_behind(2, "gelu"), norm(3)},
                    text("ghost ", ghost));
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
    const Drawn drawn = drawn_graph(seed);
    check_gradients(drawn, text("seed ", seed, " ", told(drawn)));
  }
}

namespace {

// Values after a few steps, with dropout and all.
template <class T>
std::vector<T> trained(const Drawn& drawn, int workers, int64_t rows) {
  auto network = drawn.network<T>();
  const Samples<T> samples = drawn.samples<T>(rows, network.target_size());
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
  std::vector<T> values(static_cast<size_t>(network.num_parameters()));
  network.to_shapes(network.values(), values.data());
  return values;
}

}  // namespace

TEST(drawn_graphs_train_to_the_same_bits_on_any_number_of_workers) {
  gd::testing::for_both_types([]<class T>() {
    for (uint32_t seed = 0; seed < 40; ++seed) {
      const Drawn drawn = drawn_graph(seed, true);
      const std::vector<T> want = trained<T>(drawn, 1, 300);
      for (const int workers : gd::testing::kWorkerCounts) {
        CHECK_SAME(trained<T>(drawn, workers, 300), want, "seed ", seed, " workers ", workers);
      }
    }
  });
}

// tests/python/test_neon.py holds this number to be one for all instruction sets, Arm's too.
TEST(drawn_graphs_train_to_one_number) {
  uint64_t digest = 14695981039346656037u;  // FNV-1a
  gd::testing::for_both_types([&]<class T>() {
    for (uint32_t seed = 0; seed < 40; ++seed) {
      const std::vector<T> values = trained<T>(drawn_graph(seed, true), 2, 130);
      const auto* const bytes = reinterpret_cast<const unsigned char*>(values.data());
      for (size_t i = 0; i < values.size() * sizeof(T); ++i) {
        digest = (digest ^ bytes[i]) * 1099511628211u;
      }
    }
  });
  std::printf("drawn graphs, %s: %016llx\n", gd::kernels::kernels().isa,
              static_cast<unsigned long long>(digest));
}

// A relu with dropout behind it tells from what dropout left where both let gradients through; a
// leaky relu that does not leak is the same function, but for the sign of zeros.
TEST(relu_and_dropout_train_as_each_by_itself) {
  gd::testing::for_both_types([]<class T>() {
    const auto net = [&](const char* kind, bool normed, bool residual) {
      Specs specs = {dense_behind(0, 70)};
      if (normed) specs.push_back(batch_norm_behind(1));
      const auto last = [&] { return static_cast<int>(specs.size()); };
      gd::nn::LayerSpec bend = activation_behind(last(), kind);
      if (bend.options["activation"] == gd::nn::Option(std::string("leaky_relu"))) {
        bend.options["activation_parameters"] = std::vector<double>{0.0};
      }
      specs.push_back(bend);
      specs.push_back(dropout_behind(last(), 0.3));
      if (residual) {
        const int from = last();
        specs.push_back(dense_behind(from, 70, "tanh"));
        specs.push_back(layer("add", {from, last()}, {}));
      }
      specs.push_back(dense_behind(last(), 3));
      return specs;
    };
    for (const bool normed : {true, false}) {
      for (const bool residual : {true, false}) {
        std::vector<T> want = trained<T>(net("leaky_relu", normed, residual), 1, 300);
        std::vector<T> got = trained<T>(net("relu", normed, residual), 2, 300);
        CHECK_EQ(got.size(), want.size());
        for (size_t i = 0; i < want.size(); ++i) CHECK_EQ(got[i], want[i]);
      }
    }
  });
}

TEST(rows_do_not_see_each_other_in_inference) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    const Drawn drawn = drawn_graph(seed, true);
    auto network = drawn.network<float>();
    const int64_t outputs = network.output_size();
    const Samples<float> samples = drawn.samples<float>(kRows, network.target_size());
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
  // No output with a name has members, alone or beside others.
  const auto says_of_heads = [&](Specs specs, std::vector<gd::nn::Head> heads) {
    std::string error;
    try {
      gd::layers::graph_of<float>(std::move(specs), {kInputs}, std::move(heads));
    } catch (const gd::base::ValueError& found) {
      error = found.what();
    }
    CHECK_AT(error.find("output 'b' has 3 members: an ensemble must be the network's one output") !=
                 std::string::npos,
             error);
  };
  says_of_heads({ensemble_behind(0, 2, 3, true)}, {{"b", 1}});
  says_of_heads({dense_behind(0, 2), ensemble_behind(0, 2, 3, true), layer("concat", {1, 2}, {})},
                {{"a", 1}, {"b", 2}});
}

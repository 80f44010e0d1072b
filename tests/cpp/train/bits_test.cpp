// Whole training runs as one number each. They hold for every instruction set, every number of
// threads and every architecture; a change of bits on purpose changes them, and CHANGELOG says so.

#include "cpp/train/support.hpp"

using namespace gd::testing;
using gd::train::Model;
using gd::train::Trainer;
using gd::train::TrainerOptions;

namespace {

struct Run {
  const char* hidden;
  const char* last;
  const char* loss;
  const char* rule;
  std::vector<double> hyper;
  const char* floats;
  const char* doubles;
};

const Run kRuns[] = {
    {"relu",
     "softmax",
     "cross_entropy",
     "adam",
     {0.01, 0.9, 0.999, 1e-8, 0.01, 1},
     "0x0dcc473d0b1feef0",
     "0xcac3bc00e78a5af3"},
    {"gelu",
     "identity",
     "mse",
     "sgd",
     {0.05, 0.9, 0, 1e-4, 1},
     "0x3e12ab5b8dbc6bcc",
     "0xae8153b0e8a4daa8"},
    {"tanh",
     "identity",
     "bce_with_logits",
     "sgd",
     {0.05, 0.9, 0.1, 0, 0},
     "0x58689c0917f3d6f2",
     "0x2987277c8d44483e"},
    {"silu",
     "softplus",
     "huber",
     "adam",
     {0.01, 0.9, 0.999, 1e-8, 0, 0},
     "0xffde3f88c783a307",
     "0xe205ebf450ae8fa2"},
};

// More rows and neurons than a part of a split sum, work for two; then the losses of two epochs.
template <class T>
std::string digest_of(const Run& run, int threads) {
  const Samples<T> samples(300, 12, 10, 1);
  const auto model =
      std::make_shared<Model<T>>(stacked({260, 30, 10}, run.hidden, run.last), 12, 1);
  TrainerOptions options;
  options.loss = loss_named(run.loss);
  options.rule = run.rule;
  options.hyper = run.hyper;
  options.threads = threads;
  options.seed = 5;
  Trainer<T> trainer(model, options);
  Digest digest;
  for (int epoch = 0; epoch < 2; ++epoch) {
    const double loss = fit_epoch(trainer, dataset(samples, false, true), 270, true);
    digest.add(&loss, 1);
  }
  return hex(digest.add(values_of(*model)).value());
}

}  // namespace

TEST(training_runs_give_the_expected_bits) {
  for (const Run& run : kRuns) {
    for (const int threads : {1, 2}) {
      const std::string where = text(run.rule, " on ", run.loss, ", threads ", threads);
      const std::string floats = digest_of<float>(run, threads);
      const std::string doubles = digest_of<double>(run, threads);
      CHECK_AT(floats == run.floats, where, ": float gives ", floats);
      CHECK_AT(doubles == run.doubles, where, ": double gives ", doubles);
    }
  }
}

// Trains a small network and prints a digest of all its parameters: the same on every machine.
// Built by test_neon.py for this machine and for Arm, where it runs in emulation.

#include <cstdio>
#include <cstring>
#include <vector>

#include "base/philox.hpp"
#include "cpp/layers/dense_stack.hpp"
#include "kernels/dispatch.hpp"
#include "layers/registry.hpp"
#include "train/trainer.hpp"

namespace {

uint64_t digest = 14695981039346656037u;  // FNV-1a

void add_bytes(const void* data, size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) digest = (digest ^ bytes[i]) * 1099511628211u;
}

template <class T>
std::vector<T> normal(int64_t size, uint64_t seed) {
  gd::base::RandomStream random(gd::base::StreamPurpose::dropout, seed);
  std::vector<T> values(static_cast<size_t>(size));
  for (T& value : values) value = static_cast<T>(random.normal());
  return values;
}

template <class T>
void train(const char* loss, std::vector<double> loss_parameters, const char* rule,
           std::vector<double> hyper, int threads) {
  const struct {
    int64_t units;
    const char* name;
    std::vector<double> parameters;
  } rows[] = {{67, "relu", {}},      {35, "leaky_relu", {0.2}}, {33, "elu", {1.3}},
              {29, "sigmoid", {}},   {21, "tanh", {}},          {35, "gelu", {}},
              {19, "gelu_tanh", {}}, {23, "silu", {}},          {17, "softplus", {1.7}},
              {7, "identity", {}}};
  std::vector<gd::testing::DenseSpec> layers;
  for (const auto& row : rows) {
    gd::testing::DenseSpec layer;
    layer.name = std::to_string(layers.size());
    layer.units = row.units;
    layer.activation = row.name;
    layer.activation_parameters = row.parameters;
    layer.weight_init = layers.size() % 2 == 0 ? "he_normal" : "pytorch";
    layers.push_back(layer);
  }
  const int64_t samples = 83, inputs = 300, outputs = 7;
  auto model = std::make_shared<gd::train::Model<T>>(gd::testing::stack_of(layers), inputs, 5);
  gd::train::TrainerOptions options;
  options.loss = {loss, std::move(loss_parameters)};
  options.rule = rule;
  options.hyper = std::move(hyper);
  options.threads = threads;
  options.seed = 6;
  gd::train::Trainer<T> trainer(model, options);

  const auto x = normal<T>(samples * inputs, 1);
  const auto y = normal<T>(samples * outputs, 2);
  std::vector<int64_t> labels(samples);
  for (int64_t i = 0; i < samples; ++i) labels[static_cast<size_t>(i)] = (i * i + 3) % outputs;
  gd::data::Dataset<T> data;
  data.x = {x.data(), samples, inputs};
  if (std::strcmp(loss, "cross_entropy") == 0) {
    data.labels = labels.data();
  } else {
    data.target = {y.data(), samples, outputs};
  }
  const auto go_on = [](int64_t, std::optional<double>) { return true; };
  // Shuffled mini-batches, all samples at once, and a stream; at rates of a schedule.
  gd::optim::ScheduleArguments cosine{{20, 1e-4, 0}, {}};
  gd::optim::ScheduleArguments warmup{{3, 0.5}, {}};
  warmup.parts.push_back(gd::optim::make_schedule("cosine", std::move(cosine)));
  trainer.set_schedule(gd::optim::make_schedule("warmup", std::move(warmup)),
                       gd::optim::ScheduleUnit::step);
  for (const int64_t batch_size : {int64_t{30}, int64_t{30}, samples}) {
    const double mean = trainer.fit_epoch(data, batch_size, true, go_on);
    add_bytes(&mean, sizeof mean);
  }
  double losses[10];
  trainer.learn_many(data.rows(0, 10), losses, go_on);
  add_bytes(losses, sizeof losses);
  std::vector<T> values(static_cast<size_t>(model->description().num_parameters()));
  model->copy_values(values.data());
  add_bytes(values.data(), values.size() * sizeof(T));
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  train<float>("cross_entropy", {0.1, -100}, "adam", {1e-2, 0.9, 0.999, 1e-8, 1e-3, 1}, threads);
  train<float>("huber", {0.7}, "sgd", {1e-2, 0.9, 0, 1e-3, 1}, threads);
  train<float>("mse", {}, "adamw", {1e-2, 0.9, 0.999, 1e-8, 1e-2, 0}, threads);
  train<float>("mse", {}, "adagrad", {1e-2, 1e-3, 1e-3, 0.1, 1e-10}, threads);
  train<float>("mse", {}, "rmsprop", {1e-3, 0.99, 1e-8, 1e-3, 0.9, 1}, threads);
  train<float>("mse", {}, "adadelta", {1, 0.9, 1e-6, 1e-3}, threads);
  train<double>("mse", {}, "adam", {1e-2, 0.9, 0.999, 1e-8, 0, 0}, threads);
  std::printf("%s %016llx\n", gd::kernels::kernels().isa, static_cast<unsigned long long>(digest));
}

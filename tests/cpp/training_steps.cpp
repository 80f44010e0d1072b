// Training steps whose instructions are counted (tools/instructions.py):
//   training_steps STEPS BATCH SIZES LOSS PARAMETERS RULE PARAMETERS
// with commas between numbers makes a network of ReLU layers, a trainer and data from fixed seeds,
// warms up, and takes so many steps within `counted_steps`, where a counter is told to look. Prints
// the compiler and the instruction set.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/philox.hpp"
#include "cpp/layers/dense_stack.hpp"
#include "kernels/dispatch.hpp"
#include "layers/registry.hpp"
#include "train/trainer.hpp"

namespace {

constexpr int64_t kBatches = 8;  // that take turns: one alone would drive its loss to zero

std::vector<double> numbers(const char* text) {
  std::vector<double> found;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) found.push_back(std::stod(part));
  return found;
}

class Steps {
 public:
  // sizes: inputs, hidden units, outputs.
  Steps(int64_t batch, const std::vector<double>& sizes, const gd::train::TrainerOptions& options)
      : inputs_(static_cast<int64_t>(sizes.front())), batch_(batch) {
    const int64_t outputs = static_cast<int64_t>(sizes.back());
    const int64_t rows = kBatches * batch_;
    gd::base::RandomStream random(gd::base::StreamPurpose::dropout, 1);
    x_.resize(static_cast<size_t>(rows * inputs_));
    for (float& value : x_) value = static_cast<float>(random.normal());
    data_.x = {x_.data(), rows, inputs_};
    const int64_t classes = std::max(outputs, int64_t{2});
    for (int64_t i = 0; i < rows; ++i) labels_.push_back((i * i + 3) % classes);
    if (options.loss.name == "cross_entropy") {
      data_.labels = labels_.data();
    } else {
      target_.assign(labels_.begin(), labels_.end());
      data_.target = {target_.data(), rows, outputs};
    }

    std::vector<gd::testing::DenseSpec> layers;
    for (size_t i = 1; i < sizes.size(); ++i) {
      gd::testing::DenseSpec layer;
      layer.name = std::to_string(i - 1);
      layer.units = static_cast<int64_t>(sizes[i]);
      layer.activation = i + 1 < sizes.size() ? "relu" : "identity";
      layers.push_back(layer);
    }
    trainer_ = std::make_unique<gd::train::Trainer<float>>(
        std::make_shared<gd::train::Model<float>>(gd::testing::stack_of(layers), inputs_, 0),
        options);
  }

  // One update for each of the next batches.
  double take(int64_t steps) {
    double sum = 0;
    for (int64_t i = 0; i < steps; ++i) {
      sum += trainer_->step(data_.rows(trainer_->steps() % kBatches * batch_, batch_));
    }
    return sum;
  }

 private:
  int64_t inputs_;
  int64_t batch_;
  std::vector<float> x_;
  std::vector<float> target_;
  std::vector<int64_t> labels_;
  gd::data::Dataset<float> data_;
  std::unique_ptr<gd::train::Trainer<float>> trainer_;
};

}  // namespace

// Seen by its name, and called once.
extern "C" [[gnu::noinline]] double counted_steps(Steps& steps, int64_t count) {
  return steps.take(count);
}

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fprintf(stderr, "want STEPS BATCH SIZES LOSS PARAMETERS RULE PARAMETERS\n");
    return 2;
  }
  gd::train::TrainerOptions options;
  options.loss.name = argv[4];
  options.loss.parameters = numbers(argv[5]);
  options.rule = argv[6];
  options.hyper = numbers(argv[7]);
  options.threads = 1;
  const int64_t count = std::atoll(argv[1]);
  Steps steps(std::atoll(argv[2]), numbers(argv[3]), options);
  steps.take(2);  // the first compiles the plan
  const double loss = counted_steps(steps, count) / static_cast<double>(count);
  std::printf("%s, %s, loss %.9g\n", GD_COMPILER, gd::kernels::kernels().isa, loss);
}

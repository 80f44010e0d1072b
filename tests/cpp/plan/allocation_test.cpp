// Counts every heap allocation of the process, on all threads and whoever makes it, while plans
// run. For glibc; sanitizers have a heap of their own.

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "cpp/layers/support.hpp"
#include "cpp/parallel/sanitizers.hpp"
#include "cpp/plan/support.hpp"
#include "optim/grouped_rule.hpp"
#include "plan/operations/derivative_loss.hpp"

#if defined(__GLIBC__) && !defined(GD_ADDRESS_SANITIZER) && !defined(GD_THREAD_SANITIZER)

using gd::plan::Batch;
using gd::plan::PlanKind;
using gd::testing::adam;
using gd::testing::options_of;
using gd::testing::Samples;
using gd::testing::stack;
using gd::testing::Training;

namespace {

std::atomic<int64_t> allocations{0};

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  *memory = memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}

namespace {

template <class F>
int64_t allocations_in(F f) {
  const int64_t before = allocations.load();
  f();
  return allocations.load() - before;
}

constexpr int64_t kInputs = 48;
constexpr int64_t kRows = 256;

}  // namespace

TEST(allocations_are_counted) {
  void* volatile kept = nullptr;
  CHECK_EQ(allocations_in([&] { kept = std::malloc(16); }), 1);
  std::free(kept);
  CHECK_EQ(allocations_in([&] { kept = new gd::base::AlignedBuffer<float>(5); }), 2);
  delete static_cast<gd::base::AlignedBuffer<float>*>(kept);
}

// A short batch makes the plan take fewer workers, and gathering reads the caller's indices.
TEST(steps_allocate_nothing_after_the_first) {
  gd::testing::for_both_types([]<class T>() {
    const Samples<T> samples(kRows, kInputs, 10, 1);
    std::vector<int64_t> indices;
    for (int64_t i = 0; i < kRows; ++i) indices.push_back(kRows - 1 - i);
    for (const int workers : {1, 3}) {
      Training<T> training(stack({300, 40, 10}, "gelu", "softmax"), kInputs, "cross_entropy", kRows,
                           workers, true);
      CHECK_EQ(training.plan().workers(kRows), workers);
      const auto steps = [&] {
        for (const int64_t rows : {kRows, int64_t{3}, kRows / 2}) {
          training.step(samples.batch(rows, true));
          training.step(samples.batch(rows, false, true));
        }
        training.step(samples.batch(kRows, true), indices);
      };
      steps();
      CHECK_EQ(allocations_in(steps), 0);
    }
  });
}

TEST(steps_of_rules_that_see_matrices_allocate_nothing_after_the_first) {
  const Samples<float> samples(kRows, kInputs, 10, 1);
  const std::pair<std::string, std::vector<double>> rules[] = {
      {"lamb", {0.01, 0.9, 0.999, 1e-6, 0.01}},
      {"adafactor", {0.05, -0.8, -1, 1e-3, 1, 0.01}},
      {"muon", {0.02, 0.1, 0.95, 1, 3.4, -4.7, 2.0, 1e-7, 3, 0, 1, 0.5, 0.9, 0.999, 1e-8, 0.01}},
      {"soap", {0.003, 0.95, 0.95, -1, 0.01, 2, 10000, 1, 1, 0, 1e-8}}};
  for (const auto& [name, hyper] : rules) {
    for (const int workers : {1, 3}) {
      Training<float> training(
          gd::testing::network_of<float>(stack({300, 40, 10}, "gelu", "softmax"), kInputs, 7),
          "cross_entropy", kRows, workers, false, 0, gd::optim::make_rule<float>(name, hyper, {}));
      const auto steps = [&] {
        for (int step = 0; step < 3; ++step) training.step(samples.batch(kRows, true));
      };
      steps();
      CHECK_EQ(allocations_in(steps), 0);
    }
  }
}

TEST(steps_of_tables_and_ensembles_allocate_nothing_after_the_first) {
  using namespace gd::testing;
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < kRows; ++i) indices.push_back(kRows - 1 - i);
  for (const bool lite : {false, true}) {
    for (const double clip : {0.0, 1.0}) {
      const std::vector<gd::nn::LayerSpec> layers = {
          standardize_behind(0, 4),
          periodic_behind(1, {lite, !lite, lite, 3, "relu"}),
          dense_of_kind(lite ? "ntk_dense" : "weight_norm_dense", 2, 40),
          parametric_behind(3, "gelu"),
          dense_behind(4, 6),
          lite ? piecewise_behind(5, 6, "B", "relu")
               : layer("linear_relu_embedding", {5}, {{"size", int64_t{2}}}),
          ensemble_behind(6, 33, 3, true, "relu"),
          dense_behind(7, 40, "softmax"),
          layer("ensemble_scale", {8}, {{"members", int64_t{3}}}),
          ensemble_behind(9, 3, 3, false)};
      Training<float> training(gd::nn::Network<float>(gd::layers::graph_of<float>(layers, {4}), 7),
                               "mse", kRows, 3, true, clip);
      const Samples<float> samples(kRows, 4, 3, 1);
      const auto steps = [&] {
        training.step(samples.batch(kRows, false));
        training.step(samples.batch(3, false));
        training.step(samples.batch(kRows, false), indices);
      };
      steps();
      CHECK_EQ(allocations_in(steps), 0);
    }
  }
}

TEST(steps_with_tables_allocate_nothing_after_the_first) {
  Samples<float> samples(kRows, 2, 3, 1);
  for (float& code : samples.x) code = code > 0 ? 1 : 0;
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < kRows; ++i) indices.push_back(kRows - 1 - i);
  for (const bool sparse : {false, true}) {
    for (const double clip : {0.0, 1.0}) {
      const gd::nn::LayerSpec tables{
          "embedding",
          "tables",
          {0},
          {{"size", int64_t{40}}, {"sparse", sparse}, {"weight_init", std::string("pytorch")}}};
      std::vector<gd::nn::LayerSpec> layers = gd::testing::stacked({300, 3}, "gelu", "identity");
      layers[0].inputs = {1};
      layers[1].inputs = {2};
      layers.insert(layers.begin(), tables);
      Training<float> training(
          gd::nn::Network<float>(
              gd::layers::graph_of<float>(layers, {gd::nn::InputSpec("codes", 2, {500, 2})}), 7),
          "mse", kRows, 3, true, clip);
      const auto steps = [&] {
        training.step(samples.batch(kRows, false));
        training.step(samples.batch(3, false));
        training.step(samples.batch(kRows, false), indices);
      };
      steps();
      CHECK_EQ(allocations_in(steps), 0);
    }
  }
}

TEST(steps_on_derivatives_allocate_nothing_after_the_first) {
  constexpr int64_t kFew = 3;
  const Samples<float> samples(kRows, kFew, 2 * (1 + kFew), 1);
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < kRows; ++i) indices.push_back(kRows - 1 - i);
  for (const double clip : {0.0, 1.0}) {
    Training<float> training(
        gd::testing::network_of<float>(stack({300, 40, 2}, "gelu", "identity"), kFew, 7), "mse",
        kRows, 3, true, clip, adam(), {1, 0.5, 2});
    const std::vector<gd::plan::HeadBatch<float>> from_zero(gd::plan::kDerivativeFigures);
    const auto steps = [&] {
      for (const int64_t rows : {kRows, int64_t{3}}) {
        Batch<float> batch = samples.batch(rows, false, true);
        batch.heads = from_zero.data();
        training.step(batch);
        if (rows == kRows) training.step(batch, indices);
      }
    };
    steps();
    CHECK_EQ(allocations_in(steps), 0);
  }
}

TEST(forward_and_backward_allocate_nothing_after_the_first) {
  const Samples<float> samples(kRows, kInputs, 10, 2);
  auto network =
      gd::testing::network_of<float>(stack({300, 40, 10}, "silu", "softmax"), kInputs, 0);
  std::vector<float> input_gradient(kRows * kInputs);
  gd::plan::Plan<float> inference(network, options_of<float>(PlanKind::inference, kRows, "", 3));
  gd::plan::Plan<float> both(network, options_of<float>(PlanKind::differentiable, kRows, "", 3));
  const auto run = [&] {
    Batch<float> batch = samples.batch(kRows, false);
    inference.forward(batch);
    both.forward(batch);
    batch.input_gradient = input_gradient.data();
    both.backward(batch);
  };
  run();
  CHECK_EQ(allocations_in(run), 0);
}

#endif

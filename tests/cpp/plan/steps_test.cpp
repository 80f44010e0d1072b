// A step's bits hang on data, description and seed alone: not on workers, capacity or gathering.

#include <atomic>
#include <thread>

#include "cpp/plan/support.hpp"
#include "plan/cost_model.hpp"

using gd::plan::Batch;
using gd::plan::Plan;
using gd::plan::PlanKind;
using gd::testing::for_both_types;
using gd::testing::kWorkerCounts;
using gd::testing::options_of;
using gd::testing::Samples;
using gd::testing::stack;
using gd::testing::Training;

namespace {

using Layers = std::vector<gd::testing::DenseSpec>;

// Wide enough for five workers by tiles, more rows and neurons than one part of a split sum, a
// width whose rows would lie a power of two apart, and a hidden activation that keeps z.
Layers large_network() {
  auto layers = stack({360, 256, 10}, "gelu", "softmax");
  layers[1].activation = "relu";
  return layers;
}

// Shared by samples. A panel and a part of one in every layer.
Layers small_network() {
  auto layers = stack({70, 40, 10}, "gelu", "softmax");
  layers[1].activation = "relu";
  return layers;
}

constexpr int64_t kInputs = 20;
constexpr int64_t kRows = gd::plan::kSumPart + 1;

template <class T>
std::vector<T> trained(int workers, int steps, std::vector<double>* losses = nullptr,
                       double clip_norm = 0) {
  const Samples<T> samples(kRows, kInputs, 10, 1);
  Training<T> training(large_network(), kInputs, "cross_entropy", kRows, workers, false, clip_norm);
  CHECK_EQ(training.plan().workers(kRows), workers);
  CHECK(training.plan().sharing(kRows).by == gd::plan::SharedBy::tiles);
  for (int step = 0; step < steps; ++step) {
    const double loss = training.step(samples.batch(kRows, step % 2 == 0, step % 3 == 1));
    if (losses != nullptr) losses->push_back(loss);
  }
  return training.values();
}

}  // namespace

TEST(training_gives_the_same_bits_on_any_number_of_workers) {
  for_both_types([]<class T>() {
    std::vector<double> want_losses;
    const std::vector<T> want = trained<T>(1, 2, &want_losses);
    for (const int workers : kWorkerCounts) {
      std::vector<double> losses;
      CHECK_SAME(trained<T>(workers, 2, &losses), want, "workers ", workers);
      CHECK_SAME(losses, want_losses, "workers ", workers);
    }
  });
}

// Wide enough that workers pack the B of weight gradients together, one after the other and with
// passes between them that pack their own.
TEST(products_with_a_shared_b_give_the_same_bits_on_any_number_of_workers) {
  constexpr int64_t rows = 512;
  constexpr int64_t inputs = 400;
  const Samples<float> samples(rows, inputs, 10, 1);
  const auto train = [&](int workers) {
    Training<float> training(stack({512, 512, 10}, "relu", "softmax"), inputs, "cross_entropy",
                             rows, workers);
    for (int step = 0; step < 3; ++step) training.step(samples.batch(rows, true));
    return training.values();
  };
  const std::vector<float> want = train(1);
  for (const int workers : kWorkerCounts) {
    for (int again = 0; again < 3; ++again) CHECK_SAME(train(workers), want, "workers ", workers);
  }
}

// Long enough that a worker comes and goes between operations, beside others that want its core.
TEST(steps_in_stages_give_the_same_bits_beside_busy_neighbours) {
  constexpr int64_t rows = 300;
  const Samples<float> samples(rows, kInputs, 10, 1);
  const auto train = [&](int workers) {
    Training<float> training(large_network(), kInputs, "cross_entropy", rows, workers);
    CHECK(training.plan().flops(rows) >= gd::plan::kLeastFlopsInStages);
    for (int step = 0; step < 15; ++step) training.step(samples.batch(rows, true));
    return training.values();
  };
  const std::vector<float> want = train(1);
  CHECK_SAME(train(2), want, "alone");
  std::atomic<bool> busy = true;
  std::vector<std::thread> neighbours;
  for (int i = 0; i < 2; ++i) {
    neighbours.emplace_back([&] {
      while (busy) {
      }
    });
  }
  CHECK_SAME(train(2), want, "beside others");
  busy = false;
  for (std::thread& neighbour : neighbours) neighbour.join();
}

TEST(clipped_training_gives_the_same_bits_on_any_number_of_workers) {
  const std::vector<float> want = trained<float>(1, 2, nullptr, 1e-3);
  CHECK(want != trained<float>(1, 2));
  for (const int workers : kWorkerCounts) {
    CHECK_SAME(trained<float>(workers, 2, nullptr, 1e-3), want, "workers ", workers);
  }
}

// With few and many parts, a short last one, and rows that go through in pieces of the capacity.
TEST(sharing_by_samples_gives_the_same_bits_on_any_number_of_workers) {
  for_both_types([]<class T>() {
    for (const int64_t rows : {130, 300, 1100}) {
      const Samples<T> samples(rows, kInputs, 10, 1);
      std::vector<int64_t> indices;
      for (int64_t i = 0; i < rows; ++i) indices.push_back(i * 7 % rows);
      for (const double clip_norm : {0.0, 1e-3}) {
        const auto trained_by = [&](int workers, int64_t capacity) {
          Training<T> training(small_network(), kInputs, "cross_entropy", capacity, workers, true,
                               clip_norm);
          const gd::plan::Sharing sharing = training.plan().sharing(capacity);
          CHECK_EQ(sharing.workers, workers);
          CHECK(workers == 1 || sharing.by == gd::plan::SharedBy::samples);
          std::vector<double> losses;
          for (int step = 0; step < 3; ++step) {
            const Batch<T> batch = samples.batch(rows, step == 0, step == 1);
            losses.push_back(step == 2 ? training.step(batch, indices) : training.step(batch));
          }
          const std::vector<T> values = training.values();
          losses.insert(losses.end(), values.begin(), values.end());
          return losses;
        };
        const std::vector<double> want = trained_by(1, rows);
        for (const int workers : {2, 3}) {
          CHECK_SAME(trained_by(workers, rows), want, rows, " rows, workers ", workers);
        }
        if (rows == 1100) CHECK_SAME(trained_by(2, 512), want, "in pieces");
      }
    }
  });
}

// Layers of different widths share buffers, in which parts must not meet; a worker may be a layer
// ahead of another, so once is not enough.
TEST(parts_of_a_batch_do_not_meet_in_shared_buffers) {
  const Samples<double> samples(64, kInputs, 8, 1);
  const auto trained_by = [&](int workers) {
    Training<double> training(stack({40, 40, 40, 8}, "tanh", "identity"), kInputs, "mse", 64,
                              workers);
    for (int step = 0; step < 4; ++step) training.step(samples.batch(64, false));
    return training.values();
  };
  const std::vector<double> want = trained_by(1);
  for (int i = 0; i < 100; ++i) CHECK_SAME(trained_by(2), want, "run ", i);
}

TEST(parts_of_a_batch_are_given_by_its_size) {
  using gd::plan::kSumPart;
  using gd::plan::sample_part;
  for (int64_t rows = 1; rows <= 5000; ++rows) {
    CHECK_EQ(sample_part(rows, 1'000'000), kSumPart);
    const int64_t part = sample_part(rows, 1000);
    CHECK(part >= 16 && part <= kSumPart);
    if (rows <= gd::plan::kMostRows) CHECK((rows + part - 1) / part <= 8);
    // Two workers that take as many parts each wait for each other no longer than for some rows.
    const int64_t parts = (rows + part - 1) / part;
    if (rows >= 32 && rows <= 1024) CHECK(rows - (parts - 1) * part > part - 4);
    if (rows > 1024) CHECK_EQ(part, kSumPart);  // pieces of it are the same chains
  }
}

TEST(a_short_batch_is_that_of_a_plan_of_its_size) {
  for_both_types([]<class T>() {
    constexpr int64_t inputs = 9;
    const Samples<T> samples(40, inputs, 4, 2);
    for (const char* loss : {"cross_entropy", "huber"}) {
      const auto layers = stack({12, 128, 4}, "tanh", "identity");
      Training<T> wide(layers, inputs, loss, 40, 1);
      wide.step(samples.batch(40, false));  // leaves other numbers in every buffer
      for (const int64_t rows : {1, 2, 17, 39}) {
        Training<T> roomy(layers, inputs, loss, 40, 1);
        Training<T> fitting(layers, inputs, loss, rows, 1);
        for (int step = 0; step < 3; ++step) {
          const Batch<T> batch = samples.batch(rows, false, true);
          CHECK_EQ(roomy.step(batch), fitting.step(batch));
        }
        CHECK_SAME(roomy.values(), fitting.values(), loss, " rows ", rows);
      }
    }
  });
}

// Pieces add up in the order in which parts of a whole batch do.
TEST(a_batch_beyond_the_capacity_goes_through_in_pieces) {
  for_both_types([]<class T>() {
    constexpr int64_t rows = 5 * gd::plan::kSumPart + 77;
    const Samples<T> samples(rows, 9, 4, 2);
    std::vector<int64_t> indices;
    for (int64_t i = 0; i < rows; ++i) indices.push_back(i * 5 % rows);
    const auto layers = stack({12, 4}, "gelu", "identity");
    for (const bool gathers : {false, true}) {
      const auto trained_by = [&](int64_t capacity) {
        Training<T> training(layers, 9, "cross_entropy", capacity, 1, gathers);
        std::vector<double> losses;
        for (int step = 0; step < 2; ++step) {
          const Batch<T> batch = samples.batch(rows, step == 0, true);
          losses.push_back(gathers ? training.step(batch, indices) : training.step(batch));
        }
        const std::vector<T> values = training.values();
        losses.insert(losses.end(), values.begin(), values.end());
        return losses;
      };
      const std::vector<double> want = trained_by(rows);
      CHECK_SAME(trained_by(4 * gd::plan::kSumPart), want, "gathers ", gathers);
      CHECK_SAME(trained_by(5 * gd::plan::kSumPart), want, "gathers ", gathers);
    }
  });
}

TEST(losses_add_up_over_batches_as_over_one) {
  const Samples<float> samples(40, 9, 4, 2);
  auto network = gd::testing::network_of<float>(stack({12, 4}, "silu", "identity"), 9, 0);
  Plan<float> plan(network, options_of<float>(PlanKind::evaluation, 40, "mse"));
  const Batch<float> all = samples.batch(40, false, true);
  double sum = 0;
  for (const int64_t begin : {0, 16, 32}) {
    sum = plan.add_losses(all.rows_from(begin, std::min<int64_t>(16, 40 - begin)), sum);
  }
  CHECK_EQ(sum, plan.add_losses(all, 0));
  CHECK_EQ(sum / all.weight_sum, plan.step(all));
}

TEST(what_a_plan_ran_before_leaves_no_trace) {
  for_both_types([]<class T>() {
    const Samples<T> samples(40, 9, 4, 2);
    auto network = gd::testing::network_of<T>(stack({12, 4}, "silu", "identity"), 9, 0);
    Plan<T> plan(network, options_of<T>(PlanKind::gradient, 40, "mse"));
    const auto gradients_after = [&](int64_t rows) {
      plan.step(samples.batch(rows, false));
      return std::vector<T>(network.gradients(), network.gradients() + network.flat_size());
    };
    const std::vector<T> first = gradients_after(5);
    gradients_after(40);
    CHECK_SAME(gradients_after(5), first);
  });
}

TEST(gathered_rows_are_those_at_the_indices) {
  for_both_types([]<class T>() {
    constexpr int64_t inputs = 9;
    constexpr int64_t outputs = 4;
    const Samples<T> all(60, inputs, outputs, 3);
    const std::vector<int64_t> indices = {59, 0,  7,  7,  31, 18, 44, 2,  3, 5,
                                          8,  13, 21, 34, 55, 1,  58, 29, 30};
    Samples<T> chosen(static_cast<int64_t>(indices.size()), inputs, outputs, 4);
    for (size_t i = 0; i < indices.size(); ++i) {
      const auto row = static_cast<size_t>(indices[i]);
      for (size_t j = 0; j < inputs; ++j) chosen.x[i * inputs + j] = all.x[row * inputs + j];
      for (size_t j = 0; j < outputs; ++j) {
        chosen.target[i * outputs + j] = all.target[row * outputs + j];
      }
      chosen.labels[i] = all.labels[row];
      chosen.weights[i] = all.weights[row];
    }
    for (const bool by_label : {false, true}) {
      for (const bool weighted : {false, true}) {
        const auto layers = stack({12, outputs}, "relu", "identity");
        Training<T> gathering(layers, inputs, "cross_entropy", 32, 1, true);
        Training<T> plain(layers, inputs, "cross_entropy", 32, 1);
        const Batch<T> want = chosen.batch(chosen.rows, by_label, weighted);
        Batch<T> from = all.batch(all.rows, by_label, weighted);
        from.weight_sum = want.weight_sum;
        CHECK_EQ(gathering.step(from, indices), plain.step(want));
        CHECK_SAME(gathering.values(), plain.values(), "labels ", by_label, " ", weighted);
        // A plan that can gather need not.
        CHECK_EQ(gathering.step(want), plain.step(want));
        CHECK_SAME(gathering.values(), plain.values(), "without gathering");
      }
    }
  });
}

TEST(gathering_on_a_team_gives_the_same_bits) {
  const Samples<float> samples(400, kInputs, 10, 1);
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < kRows; ++i) indices.push_back(i * 7 % 400);
  gd::plan::Batch<float> from = samples.batch(400, true);
  from.weight_sum = kRows;
  std::vector<float> want;
  for (const int workers : kWorkerCounts) {
    Training<float> training(large_network(), kInputs, "cross_entropy", kRows, workers, true);
    training.step(from, indices);
    if (workers == 1) want = training.values();
    CHECK_SAME(training.values(), want, "workers ", workers);
  }
}

// forward(x)[i] equals forward(x[i:i+1]).
TEST(rows_do_not_see_each_other) {
  for_both_types([]<class T>() {
    constexpr int64_t rows = 33;
    const Samples<T> samples(rows, kInputs, 10, 5);
    auto network = gd::testing::network_of<T>(large_network(), kInputs, 0);
    Plan<T> plan(network, options_of<T>(PlanKind::inference, rows, "", 3));
    Plan<T> one(network, options_of<T>(PlanKind::inference, 1));
    plan.forward(samples.batch(rows, false));
    for (int64_t i = 0; i < rows; ++i) {
      Batch<T> row = samples.batch(1, false);
      row.x += i * kInputs;
      one.forward(row);
      CHECK_SAME(plan.output(rows).row(i), one.output(1).row(0), 10, "row ", i);
    }
  });
}

TEST(rows_may_have_a_stride) {
  for_both_types([]<class T>() {
    const Samples<T> wide(20, 15, 8, 6);
    Samples<T> tight(20, 9, 4, 7);
    for (size_t i = 0; i < 20; ++i) {
      for (size_t j = 0; j < 9; ++j) tight.x[i * 9 + j] = wide.x[i * 15 + j];
      for (size_t j = 0; j < 4; ++j) tight.target[i * 4 + j] = wide.target[i * 8 + j];
    }
    const auto layers = stack({12, 4}, "relu", "identity");
    Training<T> strided(layers, 9, "mse", 20, 1);
    Training<T> plain(layers, 9, "mse", 20, 1);
    CHECK_EQ(strided.step(wide.batch(20, false)), plain.step(tight.batch(20, false)));
    CHECK_SAME(strided.values(), plain.values());
  });
}

TEST(parts_of_sums_are_no_longer_than_any_block) {
  for (const std::string& isa : gd::kernels::available_isas()) {
    const auto& table = *gd::kernels::table_of(isa);
    CHECK(gd::plan::kSumPart <= table.f32.blocks.kc);
    CHECK(gd::plan::kSumPart <= table.f64.blocks.kc);
  }
}

// Embeddings: lookups and gradients against plain loops, and against dense layers over codes as
// rows of one 1; sparse ones against dense ones whose other rows are put back.

#include <algorithm>
#include <set>

#include "cpp/layers/trained.hpp"

using gd::nn::LayerSpec;
using gd::nn::Network;
using gd::plan::Batch;
using gd::plan::Plan;
using gd::plan::PlanKind;
using gd::testing::dense_behind;
using gd::testing::layer;
using gd::testing::options_of;
using gd::testing::Trained;

namespace {

using Specs = std::vector<LayerSpec>;

const std::vector<int64_t> kCategories = {5, 200, 1};
constexpr int64_t kColumns = 3;

LayerSpec embedding_behind(int input, std::vector<double> sizes, bool sparse) {
  return layer("embedding", {input},
               {{"size", sizes}, {"sparse", sparse}, {"weight_init", std::string("normal")}});
}

Specs embedding_and_dense(bool sparse) {
  return {embedding_behind(0, {4, 17, 2}, sparse), dense_behind(1, 6, "tanh"), dense_behind(2, 2)};
}

template <class T>
Network<T> network_over(const Specs& specs, const std::vector<int64_t>& categories) {
  const auto columns = static_cast<int64_t>(categories.size());
  return Network<T>(
      gd::layers::graph_of<T>(specs, {gd::nn::InputSpec("codes", columns, categories)}), 3);
}

// Codes of which some are common, and targets.
template <class T>
struct Codes {
  Codes(int64_t rows_, const std::vector<int64_t>& categories, int64_t outputs_, uint64_t seed)
      : rows(rows_),
        columns(static_cast<int64_t>(categories.size())),
        outputs(outputs_),
        target(gd::testing::normals<T>(rows * outputs, seed)) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < columns; ++k) {
        const int64_t most = categories[static_cast<size_t>(k)];
        const auto drawn = gd::testing::labels_below(most * most, 1, seed + i * columns + k);
        x.push_back(static_cast<T>(drawn.front() % most % (1 + drawn.front() / most)));
      }
    }
  }

  Batch<T> batch(int64_t begin, int64_t count) const {
    Batch<T> result;
    result.rows = count;
    result.x = x.data() + begin * columns;
    result.x_stride = columns;
    result.target = target.data() + begin * outputs;
    result.target_stride = outputs;
    result.weight_sum = static_cast<double>(count);
    return result;
  }

  int64_t rows, columns, outputs;
  std::vector<T> x, target;
};

template <class T>
Trained<T> trained(const Specs& specs, const std::vector<int64_t>& categories, int64_t capacity,
                   int workers, double clip = 0) {
  return {network_over<T>(specs, categories), capacity, workers, clip};
}

}  // namespace

TEST(an_embedding_is_a_dense_layer_over_rows_of_one_1) {
  gd::testing::for_both_types([]<class T>() {
    for (const int64_t size : {1, 3, 16, 40, 1030}) {
      constexpr int64_t kCodes = 70, kRows = 300;
      const Codes<T> codes(kRows, {kCodes}, 2, 1);
      std::vector<T> ones(kRows * kCodes);
      for (int64_t i = 0; i < kRows; ++i) {
        ones[static_cast<size_t>(i * kCodes) +
             static_cast<size_t>(codes.x[static_cast<size_t>(i)])] = 1;
      }
      auto looked_up =
          trained<T>({embedding_behind(0, {static_cast<double>(size)}, false), dense_behind(1, 2)},
                     {kCodes}, kRows, 1);
      LayerSpec plain = dense_behind(0, size);
      plain.options["bias"] = false;
      Network<T> network(gd::layers::graph_of<T>({plain, dense_behind(1, 2)}, {kCodes}), 3);
      std::vector<T> values(static_cast<size_t>(network.num_parameters()));
      looked_up.network.to_shapes(looked_up.network.values(), values.data());
      std::vector<T> transposed = values;
      for (int64_t i = 0; i < kCodes; ++i) {
        for (int64_t j = 0; j < size; ++j) {
          transposed[static_cast<size_t>(j * kCodes + i)] =
              values[static_cast<size_t>(i * size + j)];
        }
      }
      network.from_shapes(transposed.data(), network.values());
      gd::optim::ElementwiseRule<T> rule("adam", {0.01, 0.9, 0.999, 1e-8, 0.01, 0});
      std::vector<gd::base::AlignedBuffer<T>> states;
      std::vector<T*> pointers;
      for (int i = 0; i < 2; ++i) states.push_back(network.make_flat());
      for (auto& state : states) pointers.push_back(state.data());
      auto options = options_of<T>(PlanKind::training, kRows, "mse");
      options.rule = &rule;
      options.update = {
          {}, network.extents(), network.values(), network.gradients(), pointers.data()};
      Plan<T> plan(network, options);
      for (int step = 1; step <= 4; ++step) {
        rule.begin_step(0.01, step);
        Batch<T> batch = codes.batch(0, kRows);
        batch.x = ones.data();
        batch.x_stride = kCodes;
        const double want = plan.step(batch);
        CHECK_EQ(looked_up.step(codes.batch(0, kRows)), want);
      }
      looked_up.network.to_shapes(looked_up.network.values(), values.data());
      network.to_shapes(network.values(), transposed.data());
      std::vector<T> want = transposed;
      for (int64_t i = 0; i < kCodes; ++i) {
        for (int64_t j = 0; j < size; ++j) {
          want[static_cast<size_t>(i * size + j)] = transposed[static_cast<size_t>(j * kCodes + i)];
        }
      }
      CHECK_SAME(values, want, "size ", size);
    }
  });
}

TEST(gradients_at_tables_are_differences_of_the_loss) {
  for (const bool sparse : {false, true}) {
    auto network = network_over<double>(embedding_and_dense(sparse), kCategories);
    const Codes<double> codes(9, kCategories, 2, 5);
    const Batch<double> batch = codes.batch(0, 9);
    Plan<double> gradient(network, options_of<double>(PlanKind::gradient, 9, "mse"));
    Plan<double> evaluation(network, options_of<double>(PlanKind::evaluation, 9, "mse"));
    for (int again = 0; again < 2; ++again) CHECK(gradient.step(batch) == evaluation.step(batch));
    double off = 0, length = 0;
    for (const gd::nn::Parameter& p : network.parameters()) {
      for (int64_t i = p.offset; i < p.offset + p.size(); ++i) {
        double& value = network.values()[i];
        const double here = value;
        value = here + 1e-5;
        const double up = evaluation.step(batch);
        value = here - 1e-5;
        const double want = (up - evaluation.step(batch)) / 2e-5;
        value = here;
        off += std::pow(network.gradients()[i] - want, 2);
        length += want * want;
      }
    }
    CHECK_AT(std::sqrt(off / length) < 1e-7, sparse, " ", std::sqrt(off / length));
  }
}

TEST(embeddings_train_to_the_same_bits_on_any_number_of_workers_and_in_pieces) {
  gd::testing::for_both_types([]<class T>() {
    constexpr int64_t kRows = 1500, kPart = 256;
    const Codes<T> codes(2 * kRows, kCategories, 2, 7);
    for (const bool sparse : {false, true}) {
      std::vector<T> want;
      for (const int workers : gd::testing::kWorkerCounts) {
        for (const int64_t capacity : {kRows, 4 * kPart, 5 * kPart}) {
          for (const double clip : {0.0, 1e20}) {  // which clips nothing
            auto made =
                trained<T>(embedding_and_dense(sparse), kCategories, capacity, workers, clip);
            for (int step = 0; step < 4; ++step) {
              made.step(codes.batch(step % 2 * kRows, step < 2 ? kRows : 100));
            }
            if (want.empty()) want = made.all();
            CHECK_SAME(made.all(), want, "sparse ", sparse, " workers ", workers, " capacity ",
                       capacity, " clip ", clip);
          }
        }
      }
    }
  });
}

// What a dense table does, but that weights and states of rows that the batch does not name are put
// back after each step.
TEST(a_sparse_table_leaves_alone_what_a_batch_does_not_name) {
  gd::testing::for_both_types([]<class T>() {
    constexpr int64_t kRows = 40;
    const Codes<T> codes(8 * kRows, kCategories, 2, 9);
    for (const double clip : {0.0, 0.05}) {
      auto sparse = trained<T>(embedding_and_dense(true), kCategories, kRows, 1, clip);
      auto dense = trained<T>(embedding_and_dense(false), kCategories, kRows, 1, clip);
      for (int64_t step = 0; step < 8; ++step) {
        const std::vector<T> before = dense.all();
        const Batch<T> batch = codes.batch(step * kRows, kRows);
        CHECK_CLOSE(sparse.step(batch), dense.step(batch), 1e-5);
        const std::vector<T> moved = dense.all();
        std::vector<T> parts[3];
        const auto all = static_cast<size_t>(dense.network.num_parameters());
        for (size_t part = 0; part < 3; ++part) {
          parts[part].assign(moved.begin() + static_cast<ptrdiff_t>(part * all),
                             moved.begin() + static_cast<ptrdiff_t>((part + 1) * all));
          size_t at = 0;
          for (int64_t k = 0; k < kColumns; ++k) {
            const gd::nn::Parameter& p = dense.network.parameters()[static_cast<size_t>(k)];
            std::set<int64_t> named;
            for (int64_t i = 0; i < kRows; ++i) {
              named.insert(static_cast<int64_t>(batch.x[i * kColumns + k]));
            }
            for (int64_t row = 0; row < p.rows; ++row) {
              for (int64_t j = 0; j < p.cols; ++j, ++at) {
                if (!named.contains(row)) parts[part][at] = before[part * all + at];
              }
            }
          }
          dense.network.from_shapes(parts[part].data(),
                                    part == 0 ? dense.network.values() : dense.pointers[part - 1]);
        }
      }
      const std::vector<T> got = sparse.all(), want = dense.all();
      if (clip == 0) {
        CHECK_SAME(got, want, "clip ", clip);
      } else {  // squares are added in another order
        for (size_t i = 0; i < got.size(); ++i) {
          CHECK_AT(std::abs(got[i] - want[i]) <= T(1e-4), i, " ", got[i], " ", want[i]);
        }
      }
    }
  });
}

TEST(gradients_of_several_passes_add_up_where_rows_were_seen) {
  for (const bool sparse : {false, true}) {
    auto network = network_over<double>(embedding_and_dense(sparse), kCategories);
    Plan<double> plan(network, options_of<double>(PlanKind::differentiable, 20));
    const Codes<double> codes(60, kCategories, 2, 11);
    const auto gradient = [&](int64_t begin, bool accumulate) {
      Batch<double> batch = codes.batch(begin, 20);
      batch.accumulate = accumulate;
      plan.forward(batch);
      for (int64_t i = 0; i < 20; ++i) {
        for (int64_t j = 0; j < 2; ++j) plan.output_gradient(20)(i, j) = batch.target[2 * i + j];
      }
      plan.backward(batch);
      return std::vector<double>(network.gradients(), network.gradients() + network.flat_size());
    };
    const auto first = gradient(0, false), second = gradient(20, false);
    gradient(40, false);
    gradient(0, false);
    const auto both = gradient(20, true);
    for (const gd::parallel::Range& run : network.extents()) {
      for (auto i = static_cast<size_t>(run.begin); i < static_cast<size_t>(run.end); ++i) {
        CHECK_CLOSE(both[i], first[i] + second[i], 1e-12);
      }
    }
    int64_t seen = 0;
    for (const auto& table : network.sparse()) {
      table->for_each(0, table->rows(), [&](int64_t) { ++seen; });
    }
    std::set<std::pair<int64_t, int64_t>> named;
    for (int64_t i = 0; i < 40 * kColumns; ++i) {
      named.insert({i % kColumns, static_cast<int64_t>(codes.x[static_cast<size_t>(i)])});
    }
    CHECK_EQ(seen, sparse ? static_cast<int64_t>(named.size()) : 0);
  }
}

TEST(embeddings_that_cannot_be_are_refused) {
  const auto says = [](const Specs& specs, std::vector<gd::nn::InputSpec> inputs,
                       const std::string& what) {
    std::string error;
    try {
      gd::layers::graph_of<float>(specs, std::move(inputs));
    } catch (const gd::base::ValueError& found) {
      error = found.what();
    }
    CHECK_AT(error.find(what) != std::string::npos, error);
  };
  const gd::nn::InputSpec codes("codes", 2, {5, 7});
  says({embedding_behind(0, {4, 4}, false)}, {3}, "reads an input of codes");
  says({embedding_behind(0, {4, 4}, false), embedding_behind(1, {4}, false)}, {codes},
       "reads an input of codes");
  says({embedding_behind(0, {4, 4, 4}, false)}, {codes},
       "one for each of the 2 columns that it reads, got 3");
  says({embedding_behind(0, {4, 0}, false)}, {codes}, "must be at least 1, got 0");
  LayerSpec unknown = embedding_behind(0, {4, 4}, false);
  unknown.options["weight_init"] = std::string("xavier");
  says({unknown}, {codes}, "unknown initializer 'xavier'");
}

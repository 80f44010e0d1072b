// Dense layers that read sparse rows: against the same rows as a dense matrix, and sparse rules
// against dense ones whose other weights are put back.

#include <set>

#include "base/sparse_rows.hpp"
#include "cpp/layers/trained.hpp"

using gd::base::SparseRows;
using gd::nn::InputSpec;
using gd::nn::LayerSpec;
using gd::nn::Network;
using gd::plan::Batch;
using gd::plan::Plan;
using gd::plan::PlanKind;
using gd::testing::dense_behind;
using gd::testing::Trained;

namespace {

using Specs = std::vector<LayerSpec>;

constexpr int64_t kCols = 300;

LayerSpec first_dense(int64_t units, bool sparse) {
  LayerSpec spec = dense_behind(0, units, "tanh");
  spec.options["sparse"] = sparse;
  return spec;
}

template <class T>
Network<T> network_over(const Specs& specs, bool sparse_input) {
  return Network<T>(gd::layers::graph_of<T>(specs, {InputSpec("words", kCols, {}, sparse_input)}),
                    3);
}

// Rows of a few elements, the first columns common and the rest seldom; some rows have none.
template <class T>
struct Words {
  Words(int64_t rows_, int64_t outputs_, uint64_t seed)
      : rows(rows_),
        outputs(outputs_),
        dense(static_cast<size_t>(rows * kCols)),
        target(gd::testing::normals<T>(rows * outputs, seed)) {
    const auto drawn = gd::testing::normals<T>(rows * 8, seed + 1);
    begins.push_back(0);
    for (int64_t i = 0; i < rows; ++i) {
      numbers.push_back(gd::base::row_as_number<T>(static_cast<int32_t>(i)));
      std::set<int64_t> own;
      for (const int64_t draw : gd::testing::labels_below(kCols * 9, i % 8, seed + 10 * i)) {
        own.insert(draw % 3 == 0 ? draw / 9 : draw % 9);
      }
      for (const int64_t column : own) {
        const T value = drawn[static_cast<size_t>(values.size() % drawn.size())];
        columns.push_back(static_cast<int32_t>(column));
        values.push_back(value);
        dense[static_cast<size_t>(i * kCols + column)] = value;
      }
      begins.push_back(static_cast<int64_t>(values.size()));
    }
    sparse = {rows, begins.data(), columns.data(), values.data()};
  }

  Batch<T> batch(int64_t begin, int64_t count, bool as_sparse) const {
    Batch<T> result;
    result.rows = count;
    result.x_stride = as_sparse ? 1 : kCols;
    result.x = (as_sparse ? numbers.data() : dense.data()) + begin * result.x_stride;
    if (as_sparse) result.sparse = &sparse;
    result.target = target.data() + begin * outputs;
    result.target_stride = outputs;
    result.weight_sum = static_cast<double>(count);
    return result;
  }

  int64_t rows, outputs;
  std::vector<T> dense, target, numbers, values;
  std::vector<int64_t> begins;
  std::vector<int32_t> columns;
  SparseRows<T> sparse;
};

template <class T>
Trained<T> trained(const Specs& specs, bool sparse_input, int64_t capacity, int workers,
                   int64_t elements, double clip = 0) {
  return {network_over<T>(specs, sparse_input), capacity, workers, clip,
          [&](gd::plan::PlanOptions<T>& options) {
            options.gathers = true;
            options.elements = elements;
          }};
}

Specs stack(int64_t units, bool sparse) { return {first_dense(units, sparse), dense_behind(1, 2)}; }

}  // namespace

TEST(sparse_rows_are_the_dense_rows_without_their_zeros) {
  gd::testing::for_both_types([]<class T>() {
    constexpr int64_t kRows = 200;
    const Words<T> words(kRows, 2, 1);
    const auto elements = static_cast<int64_t>(words.values.size());
    for (const int64_t units : {1, 7, 32, 64, 75}) {
      auto sparse = trained<T>(stack(units, false), true, kRows, 1, elements);
      auto dense = trained<T>(stack(units, false), false, kRows, 1, 0);
      std::vector<int64_t> order;
      for (int64_t i = 0; i < kRows; ++i) order.push_back(i * 7 % kRows);
      for (int step = 0; step < 3; ++step) {
        CHECK_EQ(sparse.step(words.batch(0, kRows, true)),
                 dense.step(words.batch(0, kRows, false)));
        CHECK_EQ(sparse.step(words.batch(0, kRows, true), order),
                 dense.step(words.batch(0, kRows, false), order));
      }
      CHECK_SAME(sparse.all(), dense.all(), "units ", units);
    }
  });
}

TEST(sparse_rows_train_to_the_same_bits_on_any_number_of_workers_and_in_pieces) {
  gd::testing::for_both_types([]<class T>() {
    constexpr int64_t kRows = 1500, kPart = 256;
    const Words<T> words(kRows, 2, 3);
    const auto elements = static_cast<int64_t>(words.values.size());
    for (const bool sparse : {false, true}) {
      std::vector<T> want;
      for (const int workers : gd::testing::kWorkerCounts) {
        for (const int64_t capacity : {kRows, 4 * kPart}) {
          for (const double clip : {0.0, 1e20}) {  // which clips nothing
            auto made = trained<T>(stack(70, sparse), true, capacity, workers, elements, clip);
            for (int step = 0; step < 3; ++step) {
              made.step(words.batch(step * 10, step == 1 ? 40 : 1100, true));
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

TEST(sparse_weights_of_columns_that_a_batch_has_not_stay) {
  gd::testing::for_both_types([]<class T>() {
    constexpr int64_t kRows = 20, kUnits = 40;
    const Words<T> words(6 * kRows, 2, 5);
    const auto elements = static_cast<int64_t>(words.values.size());
    auto sparse = trained<T>(stack(kUnits, true), true, kRows, 1, elements);
    auto dense = trained<T>(stack(kUnits, false), true, kRows, 1, elements);
    for (int64_t step = 0; step < 6; ++step) {
      std::vector<std::vector<T>> before = {dense.of(dense.network.values())};
      for (const T* state : dense.pointers) before.push_back(dense.of(state));
      const Batch<T> batch = words.batch(step * kRows, kRows, true);
      CHECK_EQ(sparse.step(batch), dense.step(batch));
      std::set<int64_t> seen;
      for (int64_t e = words.begins[static_cast<size_t>(step * kRows)];
           e < words.begins[static_cast<size_t>((step + 1) * kRows)]; ++e) {
        seen.insert(words.columns[static_cast<size_t>(e)]);
      }
      CHECK(seen.size() < kCols / 2);
      for (size_t part = 0; part < before.size(); ++part) {
        T* const flat = part == 0 ? dense.network.values() : dense.pointers[part - 1];
        std::vector<T> now = dense.of(flat);
        for (int64_t unit = 0; unit < kUnits; ++unit) {
          for (int64_t column = 0; column < kCols; ++column) {
            const auto at = static_cast<size_t>(unit * kCols + column);
            if (!seen.contains(column)) now[at] = before[part][at];
          }
        }
        dense.network.from_shapes(now.data(), flat);
      }
    }
    CHECK_SAME(sparse.all(), dense.all(), "after steps");
  });
}

TEST(what_cannot_read_sparse_rows_is_refused) {
  const auto says = [](const Specs& specs, InputSpec input, const std::string& what) {
    std::string error;
    try {
      gd::layers::graph_of<float>(specs, {std::move(input)});
    } catch (const gd::base::ValueError& found) {
      error = found.what();
    }
    CHECK_AT(error.find(what) != std::string::npos, error);
  };
  const InputSpec words("words", kCols, {}, true);
  says({gd::testing::norm_behind(0, "layer_norm"), dense_behind(1, 2)}, words,
       "of kind 'layer_norm' reads dense rows, and input 'words' is sparse");
  says({first_dense(4, true), dense_behind(1, 2)}, {kCols}, "sparse of layer");
  LayerSpec behind = first_dense(4, true);
  behind.inputs = {1};
  says({dense_behind(0, 4), behind}, words, "sparse of layer");
}

// Every loss of every instruction set against scalar: all tails, labels and targets, weights or
// none, gradient wanted or not, from one sample to more than two vectors of them.

#include <cmath>
#include <limits>

#include "cpp/kernels/support.hpp"

using gd::kernels::LossKernel;
using gd::kernels::LossRows;
using gd::kernels::TypedKernels;
using gd::testing::Matrix;

namespace {

constexpr int64_t kMostRows = 35;
constexpr int64_t kMostOutputs = 40;

struct Case {
  bool labels;
  bool weights;
  bool gradient;
  bool array;
};

template <class T>
class LossTest {
 public:
  // Predictions as given; all else is drawn.
  void run(const std::string& where, const LossKernel<T>& fast, const LossKernel<T>& reference,
           int64_t rows, int64_t outputs, const std::vector<T>& predictions) {
    if (!gd::testing::takes_outputs(fast, outputs)) return;
    rows_ = rows;
    array_ = gd::testing::array_for<T>(outputs);
    prediction_.shape(rows, outputs, 1).fill(predictions);
    target_.shape(rows, outputs, 2);
    target_.fill(gd::testing::uniforms<T>(rows * outputs, static_cast<uint64_t>(outputs)));
    labels_ = gd::testing::labels_below(outputs, rows, static_cast<uint64_t>(outputs) + 1);
    const std::vector<T> parameters = gd::testing::parameters_of<T>(fast.parameters);
    for (const bool labels : {false, true}) {
      if (labels && fast.targets != gd::kernels::Targets::categories) continue;
      for (const bool weights : {false, true}) {
        for (const bool gradient : {false, true}) {
          for (const bool array : {false, true}) {
            if (array && fast.array == gd::kernels::LossArray::none) continue;
            const Case which{labels, weights, gradient, array};
            compare(gd::testing::text(where, " rows ", rows, " outputs ", outputs,
                                      labels ? " labels" : "", weights ? " weights" : "",
                                      gradient ? " gradient" : "", array ? " array" : ""),
                    fast, reference, outputs, which, parameters.data());
          }
        }
      }
    }
  }

 private:
  void compare(const std::string& where, const LossKernel<T>& fast, const LossKernel<T>& reference,
               int64_t outputs, const Case& which, const T* parameters) {
    want_.shape(rows_, outputs, 4);
    got_.shape(rows_, outputs, 3);
    const std::vector<T> want = losses(reference, outputs, which, parameters, want_);
    const std::vector<T> got = losses(fast, outputs, which, parameters, got_);
    CHECK_SAME(got, want, where);
    CHECK_SAME(got_.values(), want_.values(), where, " gradient");
    CHECK_AT(got_.surroundings_untouched() && sample_loss_.surroundings_untouched(), where);
  }

  std::vector<T> losses(const LossKernel<T>& kernel, int64_t outputs, const Case& which,
                        const T* parameters, Matrix<T>& gradient) {
    std::vector<T> weights(static_cast<size_t>(rows_));
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = T(0.5) * static_cast<T>(i % 3);
    sample_loss_.shape(1, rows_);
    LossRows<T> rows{};
    rows.rows = rows_;
    rows.outputs = outputs;
    rows.prediction = prediction_.data();
    rows.ldp = prediction_.stride();
    rows.target = which.labels ? nullptr : target_.data();
    rows.ldt = target_.stride();
    rows.labels = which.labels ? labels_.data() : nullptr;
    rows.weights = which.weights ? weights.data() : nullptr;
    rows.weight_sum = which.weights ? 2.5 : static_cast<double>(rows_);
    rows.parameters = parameters;
    rows.sample_loss = sample_loss_.data();
    rows.gradient = which.gradient ? gradient.data() : nullptr;
    rows.ldg = gradient.stride();
    rows.array = which.array ? array_.data() : nullptr;
    kernel.run(rows);
    return sample_loss_.values();
  }

  static constexpr int64_t kMost = kMostRows * (kMostOutputs + 4);
  Matrix<T> prediction_{kMost}, target_{kMost}, want_{kMost}, got_{kMost}, sample_loss_{kMostRows};
  int64_t rows_ = 0;
  std::vector<int64_t> labels_;
  std::vector<T> array_;
};

}  // namespace

TEST(losses_agree_with_scalar_over_all_tails) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& fast,
                                           const TypedKernels<T>& reference) {
    LossTest<T> test;
    for (int f = 0; f < gd::kernels::kLosses; ++f) {
      for (int64_t outputs = 1; outputs <= kMostOutputs; ++outputs) {
        // Few at a time are gone through one by one, more together if the outputs are few.
        for (const int64_t rows : {int64_t{1}, int64_t{3}, int64_t{5}, int64_t{8}, kMostRows}) {
          if (rows > 3 && outputs > 20) continue;
          test.run(isa + " " + fast.losses[f].name, fast.losses[f], reference.losses[f], rows,
                   outputs,
                   gd::testing::normals<T>(rows * outputs, static_cast<uint64_t>(outputs), 2.0));
        }
      }
    }
  });
}

TEST(losses_agree_with_scalar_on_special_values) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& fast,
                                           const TypedKernels<T>& reference) {
    LossTest<T> test;
    const std::vector<T> specials = gd::testing::special_values<T>();
    for (int f = 0; f < gd::kernels::kLosses; ++f) {
      const std::string where = gd::testing::text(isa, " ", fast.losses[f].name, " special");
      // A row has one of them at most; all rows together have each.
      for (size_t first = 0; first < specials.size(); first += kMostRows) {
        for (const int64_t outputs : {1, 7, 21}) {
          std::vector<T> predictions = gd::testing::normals<T>(kMostRows * outputs, 5);
          for (int64_t row = 0; row < kMostRows; ++row) {
            const int64_t at = row * outputs + row % outputs;
            predictions[static_cast<size_t>(at)] =
                specials[(first + static_cast<size_t>(row)) % specials.size()];
          }
          test.run(where, fast.losses[f], reference.losses[f], kMostRows, outputs, predictions);
        }
      }
      for (uint64_t seed = 0; seed < 10; ++seed) {
        for (const int64_t outputs : {9, 33}) {
          test.run(where, fast.losses[f], reference.losses[f], kMostRows, outputs,
                   gd::testing::mixed<T>(kMostRows * outputs, seed));
        }
      }
    }
  });
}

// A sample's loss does not depend on how many go through the kernel with it: the two ways agree.
TEST(losses_of_samples_together_are_those_of_each_alone) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& fast,
                                           const TypedKernels<T>&) {
    for (const auto& loss : fast.losses) {
      const bool by_label = loss.targets == gd::kernels::Targets::categories;
      const std::vector<T> parameters = gd::testing::parameters_of<T>(loss.parameters);
      for (int64_t outputs = 1; outputs <= 18; ++outputs) {
        if (!gd::testing::takes_outputs(loss, outputs)) continue;
        const std::vector<T> array = gd::testing::array_for<T>(outputs);
        const bool takes_array = loss.array != gd::kernels::LossArray::none;
        const auto size = static_cast<size_t>(kMostRows * outputs);
        const std::vector<T> y = gd::testing::mixed<T>(kMostRows * outputs, 3);
        const std::vector<T> t = gd::testing::uniforms<T>(kMostRows * outputs, 4);
        const auto labels = gd::testing::labels_below(outputs, kMostRows, 5);
        std::vector<T> together(kMostRows), alone(kMostRows), gradient(size), its_gradient(size);
        const auto run = [&](int64_t i, int64_t rows, std::vector<T>& losses, std::vector<T>& g) {
          const int64_t at = i * outputs;
          loss.run({rows, outputs, y.data() + at, outputs, by_label ? nullptr : t.data() + at,
                    outputs, by_label ? labels.data() + i : nullptr, nullptr, 7.0,
                    parameters.data(), losses.data() + i, g.data() + at, outputs,
                    takes_array ? array.data() : nullptr});
        };
        run(0, kMostRows, together, gradient);
        for (int64_t i = 0; i < kMostRows; ++i) run(i, 1, alone, its_gradient);
        const std::string where = gd::testing::text(isa, " ", loss.name, " outputs ", outputs);
        CHECK_SAME(together, alone, where);
        CHECK_SAME(gradient, its_gradient, where, " gradient");
      }
    }
  });
}

TEST(a_label_out_of_range_gives_nan_to_its_sample_alone) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& fast, const TypedKernels<T>&) {
        const auto& loss = fast.losses[gd::kernels::loss_index("cross_entropy")];
        const std::vector<T> parameters(1, T(0));
        for (const int64_t outputs : {3, 20}) {
          const std::vector<T> y = gd::testing::normals<T>(kMostRows * outputs, 3);
          std::vector<int64_t> labels(kMostRows, 1);
          labels[4] = outputs;
          labels[30] = -1;
          std::vector<T> losses(kMostRows);
          loss.run({kMostRows, outputs, y.data(), outputs, nullptr, 0, labels.data(), nullptr, 1.0,
                    parameters.data(), losses.data(), nullptr, outputs});
          for (size_t i = 0; i < losses.size(); ++i) {
            CHECK_AT((losses[i] != losses[i]) == (i == 4 || i == 30), isa);
          }
        }
      });
}

// Whatever its sign, which instruction sets give to NaN as they like.
TEST(what_is_not_a_number_has_no_loss_and_no_gradient) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& fast, const TypedKernels<T>&) {
        const T nan = std::numeric_limits<T>::quiet_NaN();
        for (const LossKernel<T>& loss : fast.losses) {
          const std::vector<T> parameters = gd::testing::parameters_of<T>(loss.parameters);
          for (const T bad : {nan, std::copysign(nan, T(-1))}) {
            for (const int64_t outputs : {3, 4, 40}) {
              if (!gd::testing::takes_outputs(loss, outputs)) continue;
              const auto size = static_cast<size_t>(outputs);
              std::vector<T> prediction(size, bad), gradient(size), target(size, T(1) / T(outputs));
              T sample_loss = 0;
              LossRows<T> rows{};
              rows.rows = 1;
              rows.outputs = rows.ldp = rows.ldt = rows.ldg = outputs;
              rows.prediction = prediction.data();
              rows.target = target.data();
              rows.weight_sum = 1;
              rows.parameters = parameters.data();
              rows.sample_loss = &sample_loss;
              rows.gradient = gradient.data();
              loss.run(rows);
              CHECK_AT(std::isnan(sample_loss), isa, " ", loss.name);
              for (const T g : gradient) CHECK_AT(std::isnan(g), isa, " ", loss.name);
            }
          }
        }
      });
}

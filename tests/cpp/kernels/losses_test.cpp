// Every loss of every instruction set against scalar: all tails, labels and targets, weights or
// none, gradient wanted or not.

#include "cpp/kernels/support.hpp"

using gd::kernels::LossKernel;
using gd::kernels::LossRows;
using gd::kernels::TypedKernels;
using gd::testing::Matrix;

namespace {

constexpr int64_t kRows = 3;
constexpr int64_t kMostOutputs = 40;

struct Case {
  bool labels;
  bool weights;
  bool gradient;
};

template <class T>
class LossTest {
 public:
  // Predictions as given; all else is drawn.
  void run(const std::string& where, const LossKernel<T>& fast, const LossKernel<T>& reference,
           int64_t outputs, const std::vector<T>& predictions) {
    prediction_.shape(kRows, outputs, 1).fill(predictions);
    target_.shape(kRows, outputs, 2);
    target_.fill(gd::testing::uniforms<T>(kRows * outputs, static_cast<uint64_t>(outputs)));
    labels_ = gd::testing::labels_below(outputs, kRows, static_cast<uint64_t>(outputs) + 1);
    const std::vector<T> parameters = gd::testing::parameters_of<T>(fast.parameters);
    for (const bool labels : {false, true}) {
      if (labels && fast.targets != gd::kernels::Targets::categories) continue;
      for (const bool weights : {false, true}) {
        for (const bool gradient : {false, true}) {
          const Case which{labels, weights, gradient};
          compare(gd::testing::text(where, " outputs ", outputs, labels ? " labels" : "",
                                    weights ? " weights" : "", gradient ? " gradient" : ""),
                  fast, reference, outputs, which, parameters.data());
        }
      }
    }
  }

 private:
  void compare(const std::string& where, const LossKernel<T>& fast, const LossKernel<T>& reference,
               int64_t outputs, const Case& which, const T* parameters) {
    want_.shape(kRows, outputs, 4);
    got_.shape(kRows, outputs, 3);
    const std::vector<T> want = losses(reference, outputs, which, parameters, want_);
    const std::vector<T> got = losses(fast, outputs, which, parameters, got_);
    CHECK_SAME(got, want, where);
    CHECK_SAME(got_.values(), want_.values(), where, " gradient");
    CHECK_AT(got_.surroundings_untouched() && sample_loss_.surroundings_untouched(), where);
  }

  std::vector<T> losses(const LossKernel<T>& kernel, int64_t outputs, const Case& which,
                        const T* parameters, Matrix<T>& gradient) {
    static const T weights[kRows] = {T(0.5), T(2), T(0)};
    sample_loss_.shape(1, kRows);
    LossRows<T> rows{};
    rows.rows = kRows;
    rows.outputs = outputs;
    rows.prediction = prediction_.data();
    rows.ldp = prediction_.stride();
    rows.target = which.labels ? nullptr : target_.data();
    rows.ldt = target_.stride();
    rows.labels = which.labels ? labels_.data() : nullptr;
    rows.weights = which.weights ? weights : nullptr;
    rows.weight_sum = which.weights ? 2.5 : kRows;
    rows.parameters = parameters;
    rows.sample_loss = sample_loss_.data();
    rows.gradient = which.gradient ? gradient.data() : nullptr;
    rows.ldg = gradient.stride();
    kernel.run(rows);
    return sample_loss_.values();
  }

  Matrix<T> prediction_{1024}, target_{1024}, want_{1024}, got_{1024}, sample_loss_{16};
  std::vector<int64_t> labels_;
};

}  // namespace

TEST(losses_agree_with_scalar_over_all_tails) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& fast,
                                           const TypedKernels<T>& reference) {
    LossTest<T> test;
    for (int f = 0; f < gd::kernels::kLosses; ++f) {
      for (int64_t outputs = 1; outputs <= kMostOutputs; ++outputs) {
        test.run(isa + " " + fast.losses[f].name, fast.losses[f], reference.losses[f], outputs,
                 gd::testing::normals<T>(kRows * outputs, static_cast<uint64_t>(outputs), 2.0));
      }
    }
  });
}

TEST(losses_agree_with_scalar_on_special_values) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& fast,
                                           const TypedKernels<T>& reference) {
    LossTest<T> test;
    for (int f = 0; f < gd::kernels::kLosses; ++f) {
      const std::string where = gd::testing::text(isa, " ", fast.losses[f].name, " special");
      for (const T special : gd::testing::special_values<T>()) {
        for (const int64_t outputs : {1, 21}) {
          std::vector<T> predictions = gd::testing::normals<T>(kRows * outputs, 5);
          predictions[static_cast<size_t>(outputs / 2)] = special;
          test.run(where, fast.losses[f], reference.losses[f], outputs, predictions);
        }
      }
      for (uint64_t seed = 0; seed < 10; ++seed) {
        test.run(where, fast.losses[f], reference.losses[f], 33,
                 gd::testing::mixed<T>(kRows * 33, seed));
      }
    }
  });
}

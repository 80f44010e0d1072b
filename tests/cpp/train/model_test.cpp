#include "train/model.hpp"

#include <cmath>

#include "base/check.hpp"
#include "cpp/train/support.hpp"

using namespace gd::testing;
using gd::base::StateError;
using gd::train::Model;

namespace {

constexpr int64_t kRows = 11;

template <class T>
struct Pass {
  std::vector<T> output = std::vector<T>(kRows * kOutputs);
  std::vector<T> input_gradient = std::vector<T>(kRows * kInputs);
  std::vector<T> gradients;
};

// Forward and, `times` times, backward with the same gradient at the output.
template <class T>
Pass<T> pass(Model<T>& model, int threads, int times, bool accumulate) {
  const Samples<T> samples(kRows, kInputs, kOutputs, 1);
  Pass<T> result;
  model.forward_training(samples.x.data(), kRows, threads, result.output.data());
  for (int i = 0; i < times; ++i) {
    model.backward(samples.target.data(), kRows, accumulate, result.input_gradient.data());
  }
  result.gradients = gradients_of(model);
  return result;
}

}  // namespace

TEST(predict_gives_the_same_bits_in_batches_of_any_size) {
  for_both_types([]<class T>() {
    const Samples<T> samples(kRows, kInputs, kOutputs, 1);
    const auto model = make_model<T>("softmax");
    std::vector<T> want(kRows * kOutputs);
    model->predict(samples.x.data(), kRows, kRows, 1, want.data());
    for (const int64_t batch : {1, 2, 4, 100}) {
      for (const int threads : {1, 2}) {
        std::vector<T> got(kRows * kOutputs);
        model->predict(samples.x.data(), kRows, batch, threads, got.data());
        CHECK_SAME(got, want, "batch ", batch, " threads ", threads);
      }
    }
  });
}

TEST(forward_for_training_is_predict) {
  for_both_types([]<class T>() {
    const Samples<T> samples(kRows, kInputs, kOutputs, 1);
    const auto model = make_model<T>("sigmoid");
    std::vector<T> want(kRows * kOutputs);
    model->predict(samples.x.data(), kRows, 4, 1, want.data());
    CHECK_SAME(pass(*model, 1, 1, false).output, want);
  });
}

// sum_ij g_ij y_ij, by differences of predict.
TEST(backward_is_the_derivative_of_forward) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 1);
  const auto model = make_model<double>("softmax");
  const Pass<double> got = pass(*model, 1, 1, false);
  std::vector<double> x = samples.x;
  std::vector<double> values = values_of(*model);
  const auto objective = [&] {
    std::vector<double> y(kRows * kOutputs);
    model->predict(x.data(), kRows, kRows, 1, y.data());
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += samples.target[i] * y[i];
    return sum;
  };
  const auto slope = [&](double& at, auto changed) {
    constexpr double h = 6e-6;
    const double here = at;
    at = here + h;
    changed();
    const double above = objective();
    at = here - h;
    changed();
    const double below = objective();
    at = here;
    changed();
    return (above - below) / (2 * h);
  };
  for (size_t i = 0; i < x.size(); ++i) {
    CHECK_CLOSE(got.input_gradient[i], slope(x[i], [] {}), 1e-9);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    CHECK_CLOSE(got.gradients[i], slope(values[i], [&] { model->set_values(values.data()); }),
                1e-9);
  }
}

TEST(backward_accumulates_when_asked) {
  for_both_types([]<class T>() {
    const auto model = make_model<T>();
    // Nothing is there to add to at first.
    const Pass<T> once = pass(*model, 1, 1, true);
    CHECK_SAME(pass(*model, 1, 2, false).gradients, once.gradients, "not accumulated");
    const Pass<T> thrice = pass(*model, 1, 2, true);
    for (size_t i = 0; i < once.gradients.size(); ++i) {
      CHECK_CLOSE(thrice.gradients[i], 3 * once.gradients[i], 1e-5);
    }
    CHECK_SAME(thrice.input_gradient, once.input_gradient, "gradient at the input");
  });
}

// Wide enough for several workers.
TEST(passes_give_the_same_bits_on_any_number_of_threads) {
  for_both_types([]<class T>() {
    constexpr int64_t rows = 257;
    const Samples<T> samples(rows, 20, 10, 2);
    Model<T> model(stacked({300, 256, 10}, "gelu", "softmax"), 20, 1);
    std::vector<T> want;
    for (const int threads : kWorkerCounts) {
      std::vector<T> y(rows * 10);
      std::vector<T> got(rows * 20);
      model.forward_training(samples.x.data(), rows, threads, y.data());
      model.backward(samples.target.data(), rows, false, got.data());
      const std::vector<T> gradients = gradients_of(model);
      got.insert(got.end(), y.begin(), y.end());
      model.predict(samples.x.data(), rows, 200, threads, y.data());
      got.insert(got.end(), y.begin(), y.end());
      got.insert(got.end(), gradients.begin(), gradients.end());
      if (threads == 1) want = got;
      CHECK_SAME(got, want, "threads ", threads);
    }
  });
}

TEST(the_input_is_kept_for_backward) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 1);
  const auto model = make_model<double>();
  const Pass<double> want = pass(*model, 1, 1, false);
  std::vector<double> x = samples.x;
  std::vector<double> y(kRows * kOutputs);
  std::vector<double> input_gradient(kRows * kInputs);
  model->forward_training(x.data(), kRows, 1, y.data());
  std::fill(x.begin(), x.end(), 0.0);
  model->predict(x.data(), kRows, kRows, 1, y.data());  // disturbs nothing
  model->backward(samples.target.data(), kRows, false, input_gradient.data());
  CHECK_SAME(gradients_of(*model), want.gradients);
}

TEST(backward_and_gradients_need_what_comes_before_them) {
  const auto model = make_model<float>();
  std::vector<float> g(kRows * kOutputs);
  std::vector<float> gx(kRows * kInputs);
  CHECK_THROWS(StateError, model->rows_kept());
  CHECK_THROWS(StateError, model->backward(g.data(), kRows, false, gx.data()));
  CHECK_THROWS(StateError, gradients_of(*model));
  pass(*model, 1, 1, false);
  CHECK_EQ(model->rows_kept(), kRows);
  CHECK_THROWS(StateError, model->backward(g.data(), kRows - 1, false, gx.data()));
  const std::vector<float> values = values_of(*model);
  model->set_values(values.data());
  CHECK_THROWS(StateError, model->rows_kept());
  CHECK_THROWS(StateError, model->backward(g.data(), kRows, false, gx.data()));
}

TEST(a_smaller_batch_may_follow_a_larger_one) {
  const Samples<double> samples(kRows, kInputs, kOutputs, 1);
  const auto used = make_model<double>();
  pass(*used, 1, 1, false);
  const auto fresh = make_model<double>();
  std::vector<double> y(3 * kOutputs);
  std::vector<double> gx(3 * kInputs);
  for (const auto& model : {used, fresh}) {
    model->forward_training(samples.x.data(), 3, 1, y.data());
    model->backward(samples.target.data(), 3, false, gx.data());
    CHECK_EQ(model->rows_kept(), 3);
  }
  CHECK_SAME(gradients_of(*used), gradients_of(*fresh));
}

TEST(values_are_copied_in_and_out) {
  const auto from = make_model<float>();
  auto layers = stack({8, 5, kOutputs}, "tanh", "identity");
  const auto to = std::make_shared<Model<float>>(gd::testing::stack_of(layers), kInputs, 99);
  CHECK(values_of(*to) != values_of(*from));
  to->set_values(values_of(*from).data());
  CHECK_SAME(values_of(*to), values_of(*from));
  CHECK_EQ(static_cast<int64_t>(values_of(*to).size()), 6 * 8 + 8 + 8 * 5 + 5 + 5 * 3 + 3);
}

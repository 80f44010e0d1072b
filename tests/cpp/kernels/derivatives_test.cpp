// Backward of every activation and the gradient of every loss against central differences of their
// own forward: no formula is written a second time here, so a new one is held to it at once.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cpp/kernels/support.hpp"

using gd::kernels::ActivationKernel;
using gd::kernels::LossKernel;
using gd::kernels::LossRows;
using gd::kernels::TypedKernels;

namespace {

constexpr double kStep = 6e-6;       // about the third root of double's epsilon
constexpr double kTolerance = 1e-9;  // the error of a central difference: h^2 and epsilon / h

const TypedKernels<double>& scalar() { return gd::kernels::table_of("scalar")->f64; }

// (f(x + h) - f(x - h)) / 2h in every coordinate of x.
template <class F>
std::vector<double> central_differences(std::vector<double> x, F f) {
  std::vector<double> slopes;
  for (double& coordinate : x) {
    const double here = coordinate;
    coordinate = here + kStep;
    const double above = f(x);
    const double up = coordinate;
    coordinate = here - kStep;
    slopes.push_back((above - f(x)) / (up - coordinate));
    coordinate = here;
  }
  return slopes;
}

void check_close(const std::vector<double>& got, const std::vector<double>& want,
                 const std::string& where) {
  for (size_t i = 0; i < want.size(); ++i) {
    CHECK_AT(std::abs(got[i] - want[i]) <= kTolerance * (1 + std::abs(want[i])), where, " [", i,
             "] is ", got[i], ", by differences ", want[i]);
  }
}

// Away from 0, where some have a kink.
std::vector<double> without_kinks(int64_t size, uint64_t seed) {
  std::vector<double> x = gd::testing::normals<double>(size, seed, 1.5);
  for (double& value : x) value += value >= 0 ? 0.01 : -0.01;
  return x;
}

template <class T>
T slope_of(const ActivationKernel<T>& f, const std::vector<T>& parameters, T z) {
  T a = 0;
  f.forward(1, 1, &z, 1, &a, 1, parameters.data());
  T g = 1;
  f.backward(1, 1, f.from_output ? &a : &z, 1, &g, 1, parameters.data());
  return g;
}

struct LossCase {
  const LossKernel<double>& loss;
  int64_t rows;
  int64_t outputs;
  const double* target;
  const int64_t* labels;
  const double* weights;
  const double* array;
};

// sum_i w_i l_i / sum_i w_i, and its gradient if that is wanted.
double batch_loss(const LossCase& which, const std::vector<double>& y, double* gradient) {
  static const std::vector<double> ones(16, 1.0);
  const std::vector<double> parameters = gd::testing::parameters_of<double>(which.loss.parameters);
  const double* weights = which.weights == nullptr ? ones.data() : which.weights;
  double total = 0;
  for (int64_t i = 0; i < which.rows; ++i) total += weights[i];
  std::vector<double> losses(static_cast<size_t>(which.rows));
  which.loss.run({which.rows, which.outputs, y.data(), which.outputs, which.target, which.outputs,
                  which.labels, which.weights, total, parameters.data(), losses.data(), gradient,
                  which.outputs, which.array});
  double sum = 0;
  for (int64_t i = 0; i < which.rows; ++i) sum += weights[i] * losses[static_cast<size_t>(i)];
  return sum / total;
}

void check_loss(const LossCase& which, const std::string& where) {
  const std::vector<double> y = gd::testing::normals<double>(which.rows * which.outputs, 3, 2.0);
  std::vector<double> gradient(y.size());
  batch_loss(which, y, gradient.data());
  const auto slopes = central_differences(
      y, [&](const std::vector<double>& at) { return batch_loss(which, at, nullptr); });
  check_close(gradient, slopes, where);
}

}  // namespace

// The derivative of sum_j g_j f(z)_j, which covers those over rows too.
TEST(activation_derivatives_agree_with_differences) {
  const gd::testing::Mode mode(*gd::kernels::table_of("scalar"));
  for (const ActivationKernel<double>& activation : scalar().activations) {
    const std::vector<double> parameters =
        gd::testing::parameters_of<double>(activation.parameters);
    for (const int64_t size : {1, 6, 21}) {
      const std::vector<double> z = without_kinks(size, 1);
      const std::vector<double> g = gd::testing::normals<double>(size, 2);
      const auto forward = [&](const std::vector<double>& at) {
        std::vector<double> a(at.size());
        activation.forward(1, size, at.data(), size, a.data(), size, parameters.data());
        return a;
      };
      const auto slopes = central_differences(z, [&](const std::vector<double>& at) {
        const std::vector<double> a = forward(at);
        double sum = 0;
        for (size_t j = 0; j < a.size(); ++j) sum += g[j] * a[j];
        return sum;
      });
      const std::vector<double> saved = activation.from_output ? forward(z) : z;
      std::vector<double> gradient = g;
      activation.backward(1, size, saved.data(), size, gradient.data(), size, parameters.data());
      check_close(gradient, slopes, activation.name);
    }
  }
}

// Far out functions are flat or straight, and nothing overflows on the way.
TEST(activation_derivatives_are_finite_far_out) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& kernels,
                                           const TypedKernels<T>&) {
    for (const ActivationKernel<T>& activation : kernels.activations) {
      const std::vector<T> parameters = gd::testing::parameters_of<T>(activation.parameters);
      for (const double far : {50.0, 1e4, 1e15, 1e30}) {
        for (const T z : {static_cast<T>(far), static_cast<T>(-far)}) {
          T a = 0;
          activation.forward(1, 1, &z, 1, &a, 1, parameters.data());
          T g = 1;
          activation.backward(1, 1, activation.from_output ? &a : &z, 1, &g, 1, parameters.data());
          CHECK_AT(std::isfinite(a) && std::isfinite(g), isa, " ", activation.name, "(", z, ")");
          CHECK_AT(std::abs(g) <= T(1.2), isa, " ", activation.name, "'(", z, ") = ", g);
        }
      }
    }
  });
}

// They are PyTorch's.
TEST(the_derivative_at_a_kink_is_the_documented_one) {
  struct Kink {
    const char* name;
    std::vector<double> parameters;
    double z;
    double slope;
  };
  const std::vector<Kink> kinks = {
      {"relu", {}, 0, 0},
      {"relu", {}, -0.0, 0},
      {"leaky_relu", {0.25}, 0, 0.25},
      {"elu", {0.75}, 0, 0.75},
      {"celu", {0.75}, 0, 1},
      {"selu", {}, 0, 1.7580993408473769},
      {"selu", {}, -0.0, 1.7580993408473769},
      {"relu6", {}, 0, 0},
      {"relu6", {}, -0.0, 0},
      {"relu6", {}, 6, 0},
      {"hardtanh", {-0.75, 1.5}, -0.75, 0},
      {"hardtanh", {-0.75, 1.5}, 1.5, 0},
      {"hardsigmoid", {}, -3, 0},
      {"hardsigmoid", {}, 3, 0},
      {"hardswish", {}, -3, 0},
      {"hardswish", {}, 3, 1},
      {"softshrink", {0.5}, 0.5, 0},
      {"softshrink", {0.5}, -0.5, 0},
      {"softshrink", {0.0}, 0, 0},
      {"hardshrink", {0.5}, 0.5, 0},
      {"hardshrink", {0.5}, -0.5, 0},
      {"hardshrink", {0.0}, -0.0, 0},
      {"threshold", {0.5, 2.0}, 0.5, 0},
      {"threshold", {0.5, 2.0}, 2.0, 1},
      {"softsign", {}, 0, 1},
  };
  gd::testing::for_every_table(
      [&]<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        for (const Kink& kink : kinks) {
          const auto& f = kernels.activations[gd::kernels::activation_index(kink.name)];
          const std::vector<T> parameters(kink.parameters.begin(), kink.parameters.end());
          const T slope = slope_of<T>(f, parameters, static_cast<T>(kink.z));
          CHECK_AT(slope == static_cast<T>(kink.slope), isa, " ", kink.name, "'(", kink.z,
                   ") = ", slope);
        }
        const auto& mae = kernels.losses[gd::kernels::loss_index("mae")];
        const T y = 2;
        T loss = 1;
        T g = 3;
        mae.run({1, 1, &y, 1, &y, 1, nullptr, nullptr, 1.0, nullptr, &loss, &g, 1});
        CHECK_AT(loss == 0 && g == 0, isa);
      });
}

// Its output tells on which side of a kink a number was, the nearest one too.
TEST(the_derivative_beside_a_kink_is_that_of_its_side) {
  struct Side {
    const char* name;
    double kink;
    double below;
    double above;
  };
  const std::vector<Side> sides = {
      {"relu6", 6, 1, 0},
      {"hardtanh", -0.75, 0, 1},
      {"hardtanh", 1.5, 1, 0},
      {"hardsigmoid", -3, 0, 1. / 6},
      {"hardsigmoid", 3, 1. / 6, 0},
      {"hardswish", -3, 0, -0.5},
      {"hardswish", 3, 1.5, 1},
      {"softshrink", 0.5, 0, 1},
      {"softshrink", -0.5, 1, 0},
      {"hardshrink", 0.5, 0, 1},
      {"hardshrink", -0.5, 1, 0},
      {"threshold", 0.5, 0, 1},
  };
  const std::map<std::string, std::vector<double>> parameters = {{"hardtanh", {-0.75, 1.5}},
                                                                 {"softshrink", {0.5}},
                                                                 {"hardshrink", {0.5}},
                                                                 {"threshold", {0.5, 0.25}}};
  gd::testing::for_every_table(
      [&]<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        for (const Side& side : sides) {
          const auto& f = kernels.activations[gd::kernels::activation_index(side.name)];
          const auto found = parameters.find(side.name);
          const std::vector<T> p = found == parameters.end()
                                       ? std::vector<T>{}
                                       : std::vector<T>(found->second.begin(), found->second.end());
          const T kink = static_cast<T>(side.kink), infinity = std::numeric_limits<T>::infinity();
          const T below = slope_of<T>(f, p, std::nextafter(kink, -infinity));
          const T above = slope_of<T>(f, p, std::nextafter(kink, infinity));
          const T near = 4 * std::numeric_limits<T>::epsilon();
          CHECK_AT(std::abs(below - static_cast<T>(side.below)) <= near, isa, " ", side.name,
                   " below ", kink, ": ", below);
          CHECK_AT(std::abs(above - static_cast<T>(side.above)) <= near, isa, " ", side.name,
                   " above ", kink, ": ", above);
        }
      });
}

TEST(loss_gradients_agree_with_differences) {
  const gd::testing::Mode mode(*gd::kernels::table_of("scalar"));
  constexpr int64_t rows = 3;
  const double weights[rows] = {0.5, 2.0, 1.25};
  for (const LossKernel<double>& loss : scalar().losses) {
    for (const int64_t outputs : {1, 4, 19, 34}) {
      if (!gd::testing::takes_outputs(loss, outputs)) continue;
      const std::vector<double> array = gd::testing::array_for<double>(outputs);
      std::vector<double> target = gd::testing::uniforms<double>(rows * outputs, 4);
      if (loss.targets == gd::kernels::Targets::categories) {
        for (auto row = target.begin(); row != target.end(); row += outputs) {
          const double sum = std::accumulate(row, row + outputs, 0.0);
          std::for_each(row, row + outputs, [sum](double& share) { share /= sum; });
        }
      }
      const std::vector<int64_t> labels = gd::testing::labels_below(outputs, rows, 5);
      const std::string where = gd::testing::text(loss.name, " outputs ", outputs);
      for (const double* w : {static_cast<const double*>(nullptr), weights}) {
        for (const double* a : {static_cast<const double*>(nullptr), array.data()}) {
          if (a != nullptr && loss.array == gd::kernels::LossArray::none) continue;
          check_loss({loss, rows, outputs, target.data(), nullptr, w, a}, where + " targets");
          if (loss.targets != gd::kernels::Targets::categories) continue;
          check_loss({loss, rows, outputs, nullptr, labels.data(), w, a}, where + " labels");
        }
      }
    }
  }
}

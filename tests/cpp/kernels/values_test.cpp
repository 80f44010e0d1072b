// Activations and losses against what textbooks say, with the C library's functions in double.

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "cpp/kernels/support.hpp"

using gd::kernels::ActivationKernel;
using gd::kernels::LossRows;
using gd::kernels::TypedKernels;

namespace {

using Row = std::vector<double>;
using ValueOf = std::function<double(double z, const Row& parameters)>;

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }
double log1p_exp(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); }

// A formula that is not listed is held against the other tests only.
const std::map<std::string, ValueOf>& activation_values() {
  static const std::map<std::string, ValueOf> values = {
      {"identity", [](double z, const Row&) { return z; }},
      {"relu", [](double z, const Row&) { return std::max(z, 0.0); }},
      {"leaky_relu", [](double z, const Row& p) { return z > 0 ? z : p[0] * z; }},
      {"elu", [](double z, const Row& p) { return z > 0 ? z : p[0] * std::expm1(z); }},
      {"sigmoid", [](double z, const Row&) { return sigmoid(z); }},
      {"tanh", [](double z, const Row&) { return std::tanh(z); }},
      {"gelu", [](double z, const Row&) { return z * 0.5 * (1 + std::erf(z / std::sqrt(2.0))); }},
      {"gelu_tanh",
       [](double z, const Row&) {
         const double u = std::sqrt(2 / std::acos(-1.0)) * (z + 0.044715 * z * z * z);
         return 0.5 * z * (1 + std::tanh(u));
       }},
      {"silu", [](double z, const Row&) { return z * sigmoid(z); }},
      {"softplus", [](double z, const Row& p) { return log1p_exp(p[0] * z) / p[0]; }},
      {"relu6", [](double z, const Row&) { return std::clamp(z, 0.0, 6.0); }},
      {"hardtanh", [](double z, const Row& p) { return std::clamp(z, p[0], p[1]); }},
      {"hardsigmoid", [](double z, const Row&) { return std::clamp(z + 3, 0.0, 6.0) / 6; }},
      {"hardswish", [](double z, const Row&) { return z * std::clamp(z + 3, 0.0, 6.0) / 6; }},
      {"softsign", [](double z, const Row&) { return z / (1 + std::abs(z)); }},
      {"selu",
       [](double z, const Row&) {
         return 1.0507009873554805 * (z > 0 ? z : 1.6732632423543772 * std::expm1(z));
       }},
      {"celu", [](double z, const Row& p) { return z > 0 ? z : p[0] * std::expm1(z / p[0]); }},
      {"mish", [](double z, const Row&) { return z * std::tanh(log1p_exp(z)); }},
      {"logsigmoid", [](double z, const Row&) { return -log1p_exp(-z); }},
      {"tanhshrink", [](double z, const Row&) { return z - std::tanh(z); }},
      {"softshrink",
       [](double z, const Row& p) { return std::abs(z) > p[0] ? z - std::copysign(p[0], z) : 0; }},
      {"hardshrink", [](double z, const Row& p) { return std::abs(z) > p[0] ? z : 0; }},
      {"threshold", [](double z, const Row& p) { return z > p[0] ? z : p[1]; }},
  };
  return values;
}

// y, t -> the loss of one output.
const std::map<std::string, std::function<double(double, double, const Row&)>>& loss_values() {
  static const std::map<std::string, std::function<double(double, double, const Row&)>> values = {
      {"mse", [](double y, double t, const Row&) { return (y - t) * (y - t); }},
      {"mae", [](double y, double t, const Row&) { return std::abs(y - t); }},
      {"huber",
       [](double y, double t, const Row& p) {
         const double d = std::abs(y - t);
         return d < p[0] ? 0.5 * d * d : p[0] * (d - 0.5 * p[0]);
       }},
      {"bce_with_logits",
       [](double y, double t, const Row&) {
         return -t * std::log(sigmoid(y)) - (1 - t) * std::log(1 - sigmoid(y));
       }},
      {"binary_focal",
       [](double y, double t, const Row& p) {
         const double s = sigmoid(y);
         const double c = -t * std::log(s) - (1 - t) * std::log(1 - s);
         const double a = p[1] * t + (1 - p[1]) * (1 - t);
         return a * std::pow(s * (1 - t) + (1 - s) * t, p[0]) * c;
       }},
      {"smooth_l1",
       [](double y, double t, const Row& p) {
         const double d = std::abs(y - t);
         return d < p[0] ? 0.5 * d * d / p[0] : d - 0.5 * p[0];
       }},
      {"log_cosh", [](double y, double t, const Row&) { return std::log(std::cosh(y - t)); }},
      {"poisson_nll",
       [](double y, double t, const Row&) {
         const double full = t * std::log(t) - t + 0.5 * std::log(2 * std::acos(-1.0) * t);
         return std::exp(y) - t * y + (t > 1 ? full : 0);
       }},
      {"quantile", [](double y, double t, const Row&) { return std::abs(y - t) / 2; }},
      {"hinge", [](double y, double t, const Row&) { return std::max(0.0, 1 - t * y); }},
      {"squared_hinge",
       [](double y, double t, const Row&) { return std::pow(std::max(0.0, 1 - t * y), 2); }},
  };
  return values;
}

// A few units in the last place of what is added up, at most.
template <class T>
constexpr double kTolerance = 8 * std::numeric_limits<T>::epsilon();

template <class T>
Row as_doubles(const std::vector<T>& x) {
  return Row(x.begin(), x.end());
}

Row softmax(const Row& z) {
  const double top = *std::max_element(z.begin(), z.end());
  Row a;
  for (const double x : z) a.push_back(std::exp(x - top));
  const double sum = std::accumulate(a.begin(), a.end(), 0.0);
  for (double& x : a) x /= sum;
  return a;
}

}  // namespace

TEST(activations_have_their_textbook_values) {
  gd::testing::for_scalar([]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    constexpr int64_t size = 4000;
    const std::vector<T> z = gd::testing::uniforms<T>(size, 1, -12, 12);
    std::vector<T> a(z.size());
    for (const auto& [name, value] : activation_values()) {
      const auto& activation = kernels.activations[gd::kernels::activation_index(name)];
      const std::vector<T> parameters = gd::testing::parameters_of<T>(activation.parameters);
      activation.forward(1, size, z.data(), size, a.data(), size, parameters.data());
      for (size_t i = 0; i < z.size(); ++i) {
        const double want = value(z[i], as_doubles(parameters));
        const double most = kTolerance<T> * (1 + std::abs(static_cast<double>(z[i])));
        CHECK_AT(std::abs(a[i] - want) <= most, type, " ", name, "(", z[i], ") = ", a[i]);
      }
    }
  });
}

TEST(softmax_is_a_distribution_with_the_right_ratios) {
  gd::testing::for_scalar([]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    const auto& activation = kernels.activations[gd::kernels::activation_index("softmax")];
    for (const int64_t size : {1, 2, 10, 33}) {
      for (const double shift : {0.0, 600.0, -600.0}) {  // too large for exp in float
        std::vector<T> z = gd::testing::normals<T>(size, static_cast<uint64_t>(size), 3.0);
        for (T& x : z) x += static_cast<T>(shift);
        std::vector<T> a(z.size());
        activation.forward(1, size, z.data(), size, a.data(), size, nullptr);
        const Row want = softmax(as_doubles(z));
        for (size_t i = 0; i < z.size(); ++i) {
          CHECK_AT(std::abs(a[i] - want[i]) <= kTolerance<T>, type, " softmax of ", size);
        }
      }
    }
  });
}

TEST(log_softmax_is_the_logarithm_of_softmax) {
  gd::testing::for_scalar([]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    const auto& activation = kernels.activations[gd::kernels::activation_index("log_softmax")];
    for (const int64_t size : {1, 2, 10, 33}) {
      for (const double shift : {0.0, 600.0, -600.0}) {
        std::vector<T> z = gd::testing::normals<T>(size, static_cast<uint64_t>(size), 3.0);
        for (T& x : z) x += static_cast<T>(shift);
        const Row p = softmax(as_doubles(z));
        activation.forward(1, size, z.data(), size, z.data(), size, nullptr);
        for (size_t i = 0; i < z.size(); ++i) {
          const double want = std::log(p[i]);
          CHECK_AT(std::abs(z[i] - want) <= kTolerance<T> * (1 + std::abs(want)), type, " of ",
                   size, " gives ", z[i], " for ", want);
        }
      }
    }
  });
}

TEST(losses_have_their_textbook_values) {
  gd::testing::for_scalar([]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    for (const auto& [name, value] : loss_values()) {
      const auto& loss = kernels.losses[gd::kernels::loss_index(name)];
      const std::vector<T> parameters = gd::testing::parameters_of<T>(loss.parameters);
      for (const int64_t outputs : {1, 5, 40}) {
        const std::vector<T> y = gd::testing::normals<T>(2 * outputs, 1, 2.0);
        const std::vector<T> t = gd::testing::uniforms<T>(2 * outputs, 2);
        T got[2] = {};
        loss.run({2, outputs, y.data(), outputs, t.data(), outputs, nullptr, nullptr, 2.0,
                  parameters.data(), got, nullptr, 0});
        for (int64_t i = 0; i < 2; ++i) {
          double want = 0;
          for (auto j = static_cast<size_t>(i * outputs);
               j < static_cast<size_t>((i + 1) * outputs); ++j) {
            want += value(y[j], t[j], as_doubles(parameters)) / static_cast<double>(outputs);
          }
          CHECK_AT(std::abs(got[i] - want) <= kTolerance<T> * (1 + want), type, " ", name);
        }
      }
    }
  });
}

// -sum_c q_c log softmax(y)_c, q smoothed, with labels and with the same labels as probabilities.
TEST(cross_entropy_has_its_textbook_value) {
  gd::testing::for_scalar([]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    const auto& loss = kernels.losses[gd::kernels::loss_index("cross_entropy")];
    for (const double smoothing : {0.0, 0.1, 1.0}) {
      for (const int64_t classes : {1, 2, 10, 37}) {
        std::vector<T> y = gd::testing::normals<T>(classes, static_cast<uint64_t>(classes), 2.0);
        for (T& x : y) x += T(300);  // exp of it is no float
        const int64_t label = classes / 2;
        std::vector<T> target(y.size(), T(0));
        target[static_cast<size_t>(label)] = 1;
        const Row soft = softmax(as_doubles(y));
        double want = 0;
        for (size_t c = 0; c < y.size(); ++c) {
          const double q = (1 - smoothing) * target[c] + smoothing / static_cast<double>(classes);
          want -= q * std::log(soft[c]);
        }
        const T parameter = static_cast<T>(smoothing);
        T by_label = 0;
        T by_target = 0;
        LossRows<T> rows{1,       classes, y.data(),   classes,   nullptr, 0, &label,
                         nullptr, 1.0,     &parameter, &by_label, nullptr, 0};
        loss.run(rows);
        rows.labels = nullptr;
        rows.target = target.data();
        rows.sample_loss = &by_target;
        loss.run(rows);
        // The logits were rounded at 300.
        const double most = kTolerance<T> * (1 + want) * 2;
        CHECK_AT(std::abs(by_label - want) <= most, type, " of ", classes, " by label ", by_label);
        CHECK_AT(std::abs(by_target - want) <= most, type, " of ", classes, " by target");
      }
    }
  });
}

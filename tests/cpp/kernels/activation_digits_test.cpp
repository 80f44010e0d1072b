// Activations keep their digits near 0, in their tails and beside their limits: values and slopes
// against the same formulas in long double, written so that nothing cancels.

#include <cmath>
#include <functional>

#include "cpp/kernels/support.hpp"

using gd::kernels::ActivationKernel;
using gd::kernels::TypedKernels;

namespace {

using Wide = long double;
using Of = std::function<Wide(Wide z, Wide parameter)>;

Wide sigmoid(Wide z) { return z < 0 ? std::exp(z) / (1 + std::exp(z)) : 1 / (1 + std::exp(-z)); }

// z - tanh z = z c / (1 + c) by Lambert's continued fraction, c = z^2 / (3 + z^2 / (5 + ...)).
Wide shrunk(Wide z) {
  if (std::abs(z) > 2) return z - std::tanh(z);
  Wide c = 0;
  for (int k = 61; k >= 3; k -= 2) c = z * z / (static_cast<Wide>(k) + c);
  return z * c / (1 + c);
}

struct Mish {
  Wide w, steep;  // the slope is w + z steep
};

Mish mish(Wide z) {
  const Wide e = std::exp(-std::abs(z));
  const Wide n = z < 0 ? e * (e + 2) : 1 + 2 * e, c = z < 0 ? 2 : 2 * e * e;
  return {n / (n + c), c / (n + c) * (1 + n / (n + c)) * sigmoid(z)};
}

struct Case {
  const char* name;
  std::vector<double> parameters;
  Of value;
  double value_units;
  Of slope;
  Of slope_size;  // what the slope is a sum of
  double slope_units;
};

const Of one = [](Wide, Wide) -> Wide { return 1; };

std::vector<Case> cases() {
  std::vector<Case> all = {
      {"mish",
       {},
       [](Wide z, Wide) { return z * mish(z).w; },
       4,
       [](Wide z, Wide) { return mish(z).w + z * mish(z).steep; },
       [](Wide z, Wide) { return mish(z).w + std::abs(z) * mish(z).steep; },
       6},
      {"tanhshrink",
       {},
       [](Wide z, Wide) { return shrunk(z); },
       3,
       [](Wide z, Wide) { return std::tanh(z) * std::tanh(z); },
       [](Wide z, Wide) { return std::tanh(z) * std::tanh(z); },
       5},
      {"logsigmoid",
       {},
       [](Wide z, Wide) { return std::min<Wide>(z, 0) - std::log1p(std::exp(-std::abs(z))); },
       3,
       [](Wide z, Wide) { return sigmoid(-z); },
       [](Wide z, Wide) { return sigmoid(-z); },
       4},
      {"softsign",
       {},
       [](Wide z, Wide) { return z / (1 + std::abs(z)); },
       1.5,
       [](Wide z, Wide) { return 1 / ((1 + std::abs(z)) * (1 + std::abs(z))); },
       [](Wide z, Wide) { return 1 / ((1 + std::abs(z)) * (1 + std::abs(z))); },
       4},
      {"hardsigmoid",
       {},
       [](Wide z, Wide) { return std::min(std::max(z + 3, Wide(0)), Wide(6)) / 6; },
       1.5,
       [](Wide z, Wide) { return std::abs(z) < 3 ? Wide(1) / 6 : 0; },
       one,
       0.5},
      {"hardswish",
       {},
       [](Wide z, Wide) { return z <= -3 ? 0 : z * std::min(z + 3, Wide(6)) / 6; },
       2,
       [](Wide z, Wide) { return z <= -3 ? 0
                                 : z < 3 ? (2 * z + 3) / 6
                                         : 1; },
       [](Wide z, Wide) { return z <= -3 ? 0
                                 : z < 3 ? std::abs(2 * z + 3) / 6
                                         : 1; },
       1.5},
      {"selu",
       {},
       [](Wide z, Wide) {
         return z > 0 ? 1.05070098735548049342L * z : 1.75809934084737685994L * std::expm1(z);
       },
       3,
       [](Wide z, Wide) {
         return z > 0 ? 1.05070098735548049342L : 1.75809934084737685994L * std::exp(z);
       },
       one,
       3},
  };
  for (const double alpha : {1e-3, 0.03, 1.0, 20.0}) {
    all.push_back({"celu",
                   {alpha},
                   [](Wide z, Wide a) { return z > 0 ? z : a * std::expm1(z / a); },
                   3,
                   [](Wide z, Wide a) { return z > 0 ? 1 : std::exp(z / a); },
                   one,
                   3});
  }
  return all;
}

// Units in the last place of `size`; what would be denormal may be 0.
template <class T>
double units(T got, Wide want, Wide size) {
  if (got == 0 && std::abs(want) < std::numeric_limits<T>::min()) return 0;
  const Wide least = std::numeric_limits<T>::min() * Wide(1024);
  const T nearest = static_cast<T>(std::max(std::abs(size), least));
  const Wide next = std::nextafter(nearest, std::numeric_limits<T>::infinity());
  return static_cast<double>(std::abs(static_cast<Wide>(got) - want) / (next - nearest));
}

// Dense about 0, up to where e^-z is flushed, and ever nearer to 0.
template <class T>
std::vector<T> numbers() {
  std::vector<double> sizes;
  for (int i = 1; i <= 4000; ++i) {
    sizes.push_back(4.0 * i / 4000);
    sizes.push_back((sizeof(T) == 4 ? 84.0 : 690.0) * i / 4000);
  }
  for (int e = 1; e < std::numeric_limits<T>::max_exponent - 10; ++e) {
    sizes.push_back(std::ldexp(1.3, -e));
    if (e < 40) sizes.push_back(std::ldexp(1.3, e));
  }
  std::vector<T> all = {0};
  for (const double size : sizes) {
    all.push_back(static_cast<T>(size));
    all.push_back(static_cast<T>(-size));
  }
  return all;
}

}  // namespace

TEST(activations_keep_their_digits_everywhere) {
  const std::vector<Case> all = cases();
  gd::testing::for_scalar([&]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    const std::vector<T> z = numbers<T>();
    const auto size = static_cast<int64_t>(z.size());
    for (const Case& which : all) {
      const auto& f = kernels.activations[gd::kernels::activation_index(which.name)];
      const std::vector<T> p(which.parameters.begin(), which.parameters.end());
      const Wide parameter = p.empty() ? 0 : p[0];
      std::vector<T> a(z.size()), g(z.size(), T(1));
      f.forward(1, size, z.data(), size, a.data(), size, p.data());
      f.backward(1, size, f.from_output ? a.data() : z.data(), size, g.data(), size, p.data());
      for (size_t i = 0; i < z.size(); ++i) {
        const Wide value = which.value(z[i], parameter), slope = which.slope(z[i], parameter);
        const double of_value = units(a[i], value, value);
        const double of_slope = units(g[i], slope, which.slope_size(z[i], parameter));
        CHECK_AT(of_value <= which.value_units, type, " ", which.name, "(", z[i], ") = ", a[i],
                 " is ", of_value, " units off");
        CHECK_AT(of_slope <= which.slope_units, type, " ", which.name, "'(", z[i], ") = ", g[i],
                 " is ", of_slope, " units off");
      }
    }
  });
}

// The likeliest class's own share is log(1 + rest), and its slope under its own gradient rest / (1
// + rest): both small, however small rest is.
TEST(log_softmax_keeps_its_digits_of_a_confident_answer) {
  gd::testing::for_scalar([]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    const auto& f = kernels.activations[gd::kernels::activation_index("log_softmax")];
    for (const int64_t classes : {2, 3, 10, 16, 17, 40}) {
      for (int i = 0; i <= 100; ++i) {
        // Integers, so that distances are exact; the first is at the top, once alone, once not.
        const auto gap = std::floor((sizeof(T) == 4 ? 72 : 576) * i / 100.0);
        std::vector<T> z(static_cast<size_t>(classes), static_cast<T>(3 - gap));
        z[0] = 3;
        for (size_t c = 2; c < z.size(); c += 3) z[c] -= 1;
        if (i % 7 == 3) z.back() = 3;
        Wide rest = 0;
        for (size_t c = 1; c < z.size(); ++c) rest += std::exp(static_cast<Wide>(z[c]) - 3);
        std::vector<T> a(z.size()), g(z.size(), T(0));
        f.forward(1, classes, z.data(), classes, a.data(), classes, nullptr);
        g[0] = 1;
        f.backward(1, classes, a.data(), classes, g.data(), classes, nullptr);
        for (size_t c = 0; c < z.size(); ++c) {
          const std::string where =
              gd::testing::text(type, " of ", classes, " at ", gap, " [", c, "]");
          const Wide value = static_cast<Wide>(z[c]) - 3 - std::log1p(rest);
          CHECK_AT(units(a[c], value, value) <= 4, where, " is ", a[c]);
          // Of e^a the error of a is relative.
          const Wide p = std::exp(value);
          const Wide slope = c == 0 ? rest / (1 + rest) : -p;
          CHECK_AT(units(g[c], slope, slope) <= 6 + 2 * std::abs(static_cast<double>(value)), where,
                   " has the slope ", g[c], " for ", static_cast<double>(slope));
        }
      }
    }
  });
}

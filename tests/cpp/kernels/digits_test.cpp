// Losses and activations keep their digits where a result is small beside what it comes from: a
// confident right answer, the tail of an activation. Against the same formulas in long double.

#include <algorithm>
#include <cmath>

#include "cpp/kernels/support.hpp"

using gd::kernels::TypedKernels;

namespace {

using Wide = long double;

Wide sigmoid(Wide z) { return 1 / (1 + std::exp(-z)); }

// Units in the last place of `size`; what is flushed to zero may be missing.
template <class T>
double units(T got, Wide want, Wide size) {
  const T nearest = std::max(static_cast<T>(std::abs(size)), std::numeric_limits<T>::min() * 1024);
  const Wide next = std::nextafter(nearest, std::numeric_limits<T>::infinity());
  const Wide unit = next - nearest;  // in T it may be denormal
  return static_cast<double>(std::abs(static_cast<Wide>(got) - want) / unit);
}

// To where e^-z is about to be flushed.
template <class T>
constexpr double kFar = sizeof(T) == 4 ? 80 : 640;

// 0, 1, what is between and, in both directions, ever nearer to the ends.
template <class T>
std::vector<T> unit_targets() {
  std::vector<T> targets = {0, T(0.1), T(0.5), T(0.7), 1};
  for (int e = 2; e < std::numeric_limits<T>::digits; e += 3) {
    targets.push_back(static_cast<T>(std::ldexp(1.3, -e)));
    targets.push_back(1 - static_cast<T>(std::ldexp(1.0, -e)));
  }
  return targets;
}

// Logits dense about 0 and up to both ends.
template <class T>
std::vector<T> logits() {
  std::vector<T> all = {0};
  for (int i = 1; i <= 400; ++i) {
    for (const double z : {kFar<T> * i / 400, 12.0 * i / 400}) {
      all.push_back(static_cast<T>(z));
      all.push_back(static_cast<T>(-z));
    }
  }
  return all;
}

template <class T>
struct Loss {
  T value;
  std::vector<T> gradient;
};

template <class T>
Loss<T> loss_of(const TypedKernels<T>& kernels, const char* name, const std::vector<T>& y,
                const T* target, const int64_t* label, T parameter = 0) {
  Loss<T> loss{0, std::vector<T>(y.size())};
  const auto outputs = static_cast<int64_t>(y.size());
  kernels.losses[gd::kernels::loss_index(name)].run({1, outputs, y.data(), outputs, target, outputs,
                                                     label, nullptr, 1.0, &parameter, &loss.value,
                                                     loss.gradient.data(), outputs});
  return loss;
}

}  // namespace

TEST(bce_with_logits_keeps_its_digits_at_both_ends) {
  gd::testing::for_scalar([]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    for (const T t : unit_targets<T>()) {
      for (const T z : logits<T>()) {
        const Wide a = std::abs(static_cast<Wide>(z));
        const Wide u = z > 0 ? 1 - static_cast<Wide>(t) : static_cast<Wide>(t);
        const Wide value = a * u + std::log1p(std::exp(-a));
        const Wide slope = (z > 0 ? -1 : 1) * (sigmoid(-a) - u);
        const Loss<T> loss = loss_of<T>(kernels, "bce_with_logits", {z}, &t, nullptr);
        CHECK_AT(units(loss.value, value, value) <= 3, type, " loss at ", z, ", ", t);
        // The target and what it is compared with may be near each other, but nothing else cancels.
        CHECK_AT(units(loss.gradient[0], slope, std::max(sigmoid(-a), u)) <= 2.5, type,
                 " gradient at ", z, ", ", t);
        if (t == 0 || t == 1) CHECK_AT(units(loss.gradient[0], slope, slope) <= 2.5, type, z);
      }
    }
  });
}

TEST(cross_entropy_keeps_its_digits_of_a_confident_answer) {
  gd::testing::for_scalar([]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    for (const int64_t classes : {2, 3, 10, 16, 17, 40}) {
      for (int i = 0; i <= 100; ++i) {
        // Integers, so that distances are exact; the first is at the top, once alone, once not.
        const auto gap = std::floor(kFar<T> * 0.9 * i / 100);
        std::vector<T> y(static_cast<size_t>(classes), static_cast<T>(3 - gap));
        y[0] = 3;
        for (size_t c = 2; c < y.size(); c += 3) y[c] -= 1;
        if (i % 7 == 3) y.back() = 3;
        Wide rest = 0;
        for (size_t c = 1; c < y.size(); ++c) rest += std::exp(static_cast<Wide>(y[c]) - 3);
        for (const int64_t label : {int64_t{0}, classes - 1}) {
          const Wide value =
              std::log1p(rest) + (3 - static_cast<Wide>(y[static_cast<size_t>(label)]));
          std::vector<T> target(y.size(), T(0));
          target[static_cast<size_t>(label)] = 1;
          for (const bool by_label : {true, false}) {
            const Loss<T> loss =
                loss_of<T>(kernels, "cross_entropy", y, by_label ? nullptr : target.data(),
                           by_label ? &label : nullptr);
            const std::string where =
                gd::testing::text(type, " of ", classes, " at ", gap, " label ", label,
                                  by_label ? "" : " as a target");
            CHECK_AT(units(loss.value, value, value) <= 6, where, " loss ", loss.value);
            for (size_t c = 0; c < y.size(); ++c) {
              const bool right = c == static_cast<size_t>(label);
              const Wide e = std::exp(static_cast<Wide>(y[c]) - 3);
              const Wide others = 1 + rest - e;
              const Wide slope = right ? -(y[c] == 3 ? rest : others) / (1 + rest) : e / (1 + rest);
              CHECK_AT(units(loss.gradient[c], slope, slope) <= 8, where, " gradient ", c, " ",
                       loss.gradient[c]);
            }
          }
        }
      }
    }
  });
}

// A distance may be beyond the largest number where its share in a loss is not.
TEST(cross_entropy_of_the_largest_logits_is_what_it_is) {
  gd::testing::for_every_table(
      []<class T>(const std::string& isa, const TypedKernels<T>& kernels, const TypedKernels<T>&) {
        const T most = std::numeric_limits<T>::max();
        const T infinity = std::numeric_limits<T>::infinity();
        for (const int64_t classes : {2, 5, 20}) {
          std::vector<T> y(static_cast<size_t>(classes), T(0));
          y[0] = most;
          y[1] = -most;
          const int64_t right = 0, wrong = 1;
          const T quarter[2] = {T(0.75), T(0.25)};
          std::vector<T> target(y.size(), T(0));
          std::copy_n(quarter, 2, target.begin());
          CHECK_EQ(loss_of<T>(kernels, "cross_entropy", y, nullptr, &right).value, T(0));
          CHECK_EQ(loss_of<T>(kernels, "cross_entropy", y, nullptr, &wrong).value, infinity);
          const T by_target = loss_of<T>(kernels, "cross_entropy", y, target.data(), nullptr).value;
          CHECK_AT(by_target == most / 2, isa, " by target ", by_target);
          target = std::vector<T>(y.size(), T(0));
          target[1] = 1;
          CHECK_EQ(loss_of<T>(kernels, "cross_entropy", y, target.data(), nullptr).value, infinity);
          // 0.2 / classes of each distance: of two `most`s and classes - 2 of one.
          const T smoothed = loss_of<T>(kernels, "cross_entropy", y, nullptr, &right, T(0.2)).value;
          CHECK_AT(std::abs(smoothed / (T(0.2) * most) - 1) < T(1e-5), isa, " smoothed ", smoothed);
          y.back() = -infinity;  // an output that is out of the question
          target = std::vector<T>(y.size(), T(0));
          target[0] = 1;
          CHECK_EQ(loss_of<T>(kernels, "cross_entropy", y, target.data(), nullptr).value, T(0));
        }
      });
}

// z Phi(z) by erf, as far as its tail is one of ours; z sigmoid(2 u) as far as e^2u is no denormal.
TEST(gelu_keeps_its_digits_in_the_tail) {
  gd::testing::for_scalar([]<class T>(const std::string& type, const TypedKernels<T>& kernels) {
    const auto value = [&](const char* name, T z, bool derivative) {
      const auto& f = kernels.activations[gd::kernels::activation_index(name)];
      T a = 1;
      if (derivative) {
        f.backward(1, 1, &z, 1, &a, 1, nullptr);
      } else {
        f.forward(1, 1, &z, 1, &a, 1, nullptr);
      }
      return static_cast<Wide>(a);
    };
    const Wide pi = std::acos(Wide(-1));
    for (int i = 0; i <= 2000; ++i) {
      const T z = static_cast<T>(-9.0 * i / 2000);
      const Wide x = z;
      const Wide phi = std::exp(-x * x / 2) / std::sqrt(2 * pi);
      const Wide cdf = std::erfc(-x / std::sqrt(Wide(2))) / 2;
      const Wide share = sigmoid(2 * std::sqrt(2 / pi) * (x + Wide(0.044715) * x * x * x));
      const Wide steep = 2 * std::sqrt(2 / pi) * (1 + 3 * Wide(0.044715) * x * x);
      const Wide epsilon = std::numeric_limits<T>::epsilon();
      if (z > -9) {
        CHECK_AT(std::abs(value("gelu_tanh", z, false) - x * share) <=
                     200 * epsilon * std::abs(x * share),
                 type, " gelu_tanh(", z, ")");
        CHECK_AT(std::abs(value("gelu_tanh", z, true) - share * (1 + x * (1 - share) * steep)) <=
                     200 * epsilon * share * (1 + std::abs(x) * steep),
                 type, " gelu_tanh'(", z, ")");
      }
      if (z > -3) {
        CHECK_AT(std::abs(value("gelu", z, false) - x * cdf) <= 40 * epsilon * std::abs(x * cdf),
                 type, " gelu(", z, ")");
        CHECK_AT(std::abs(value("gelu", z, true) - (cdf + x * phi)) <=
                     40 * epsilon * (cdf + std::abs(x) * phi),
                 type, " gelu'(", z, ")");
      }
      CHECK_AT(std::abs(value("gelu", z, false) - x * cdf) <= epsilon * (1 + std::abs(x)), type);
    }
  });
}

#include "nn/initializers.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "cpp/nn/support.hpp"

using gd::nn::initialize;

namespace {

constexpr int64_t kFanIn = 40;
constexpr int64_t kFanOut = 60;
constexpr int64_t kValues = 30'000;

std::vector<double> drawn(const std::string& name, uint64_t seed = 1) {
  gd::base::RandomStream random = gd::testing::random_stream(seed);
  const int64_t count = name == "orthogonal" ? kFanIn * kFanOut : kValues;
  std::vector<double> values(static_cast<size_t>(count), 77.0);
  initialize<double>(name, kFanIn, kFanOut, random, values);
  return values;
}

struct Moments {
  double mean = 0;
  double variance = 0;
  double kurtosis = 0;
  double largest = 0;
};

Moments moments_of(const std::vector<double>& values) {
  Moments result;
  const auto count = static_cast<double>(values.size());
  for (const double value : values) result.mean += value / count;
  double fourth = 0;
  for (const double value : values) {
    const double square = (value - result.mean) * (value - result.mean);
    result.variance += square / count;
    fourth += square * square / count;
    result.largest = std::max(result.largest, std::abs(value));
  }
  result.kurtosis = fourth / (result.variance * result.variance);
  return result;
}

struct Expected {
  const char* name;
  double variance;
  bool normal;
};

constexpr Expected kExpected[] = {
    {"he_normal", 2.0 / kFanIn, true},
    {"he_uniform", 2.0 / kFanIn, false},
    {"glorot_normal", 2.0 / (kFanIn + kFanOut), true},
    {"glorot_uniform", 2.0 / (kFanIn + kFanOut), false},
    {"lecun_normal", 1.0 / kFanIn, true},
    {"lecun_uniform", 1.0 / kFanIn, false},
    {"pytorch", 1.0 / (3.0 * kFanIn), false},
    {"normal", 1.0, true},
};

}  // namespace

TEST(initializers_have_their_variance_and_shape) {
  for (const Expected& expected : kExpected) {
    const Moments moments = moments_of(drawn(expected.name));
    const double deviation = std::sqrt(expected.variance);
    CHECK_AT(std::abs(moments.mean) < 4 * deviation / std::sqrt(kValues), expected.name);
    CHECK_AT(std::abs(moments.variance / expected.variance - 1) < 0.04, expected.name);
    if (expected.normal) {
      CHECK_AT(std::abs(moments.kurtosis - 3) < 0.15, expected.name, " ", moments.kurtosis);
      CHECK_AT(moments.largest > 3.3 * deviation, expected.name);
    } else {
      const double bound = std::sqrt(3 * expected.variance);
      CHECK_AT(std::abs(moments.kurtosis - 1.8) < 0.03, expected.name, " ", moments.kurtosis);
      CHECK_AT(moments.largest <= bound && moments.largest > 0.999 * bound, expected.name);
    }
  }
}

TEST(pytorch_bounds_are_one_over_the_root_of_the_inputs) {
  CHECK(moments_of(drawn("pytorch")).largest <= 1 / std::sqrt(kFanIn));
}

TEST(zeros_are_zeros) {
  for (const double value : drawn("zeros")) CHECK_EQ(value, 0.0);
}

TEST(orthogonal_rows_or_columns_have_the_length_of_the_gain) {
  for (const auto& [rows, cols] : {std::pair{3, 50}, {50, 3}, {33, 33}, {1, 1}}) {
    gd::base::RandomStream random = gd::testing::random_stream(1);
    std::vector<double> w(static_cast<size_t>(rows * cols));
    initialize<double>("orthogonal", cols, rows, random, w, 1.5);
    const int few = std::min(rows, cols);
    const auto at = [&](int i, int k) {  // vector i, element k
      return w[static_cast<size_t>(rows <= cols ? i * cols + k : k * cols + i)];
    };
    for (int i = 0; i < few; ++i) {
      for (int j = 0; j <= i; ++j) {
        double product = 0;
        for (int k = 0; k < std::max(rows, cols); ++k) product += at(i, k) * at(j, k);
        CHECK_CLOSE(product, i == j ? 2.25 : 0.0, 1e-14);
      }
    }
  }
}

TEST(orthogonal_values_must_be_a_matrix) {
  gd::base::RandomStream random = gd::testing::random_stream(1);
  std::vector<double> bias(kFanOut);
  CHECK_THROWS(gd::base::ValueError,
               initialize<double>("orthogonal", kFanIn, kFanOut, random, bias));
}

TEST(float_values_are_the_double_ones_rounded) {
  for (const std::string& name : gd::nn::initializer_names()) {
    gd::base::RandomStream random = gd::testing::random_stream(1);
    std::vector<float> singles(name == "orthogonal" ? kFanIn * kFanOut : 100);
    initialize<float>(name, kFanIn, kFanOut, random, singles);
    const std::vector<double> doubles = drawn(name);
    for (size_t i = 0; i < singles.size(); ++i) {
      CHECK_EQ(singles[i], static_cast<float>(doubles[i]));
    }
  }
}

TEST(every_initializer_is_listed_once_and_known) {
  const auto names = gd::nn::initializer_names();
  CHECK_EQ(names.size(), std::size(kExpected) + 2);  // zeros and orthogonal
  for (const Expected& expected : kExpected) {
    CHECK_EQ(std::count(names.begin(), names.end(), expected.name), 1);
  }
  for (const std::string& name : names) gd::nn::check_initializer(name);
}

TEST(an_unknown_initializer_is_an_error_that_lists_the_known) {
  std::string said;
  try {
    gd::nn::check_initializer("xavier");
  } catch (const gd::base::ValueError& error) {
    said = error.what();
  }
  CHECK(said.find("'xavier'") != std::string::npos);
  CHECK(said.find("glorot_uniform") != std::string::npos);
}

#include "nn/initializers.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"

namespace gd::nn {

namespace {

enum class Shape : uint8_t { constant, uniform, normal, orthogonal };

// How a name turns fans into the spread of a distribution: half the width of the uniform one, the
// standard deviation of the normal one.
struct Initializer {
  const char* name;
  Shape shape;
  double (*variance)(double fan_in, double fan_out);
};

double he(double fan_in, double) { return 2.0 / fan_in; }
double glorot(double fan_in, double fan_out) { return 2.0 / (fan_in + fan_out); }
double lecun(double fan_in, double) { return 1.0 / fan_in; }
double pytorch(double fan_in, double) { return 1.0 / (3.0 * fan_in); }
double none(double, double) { return 0.0; }
double one(double, double) { return 1.0; }

constexpr Initializer kInitializers[] = {
    {"glorot_normal", Shape::normal, glorot}, {"glorot_uniform", Shape::uniform, glorot},
    {"he_normal", Shape::normal, he},         {"he_uniform", Shape::uniform, he},
    {"lecun_normal", Shape::normal, lecun},   {"lecun_uniform", Shape::uniform, lecun},
    {"normal", Shape::normal, one},           {"orthogonal", Shape::orthogonal, none},
    {"pytorch", Shape::uniform, pytorch},     {"zeros", Shape::constant, none},
};

const Initializer& find(const std::string& name) {
  std::string all;
  for (const Initializer& initializer : kInitializers) {
    if (name == initializer.name) return initializer;
    all += (all.empty() ? "" : ", ") + std::string(initializer.name);
  }
  throw base::ValueError(base::message("unknown initializer '", name, "', expected one of: ", all));
}

// Sums in eight chains, which compilers keep in vectors; the same on every machine.
double dot(std::span<const double> x, std::span<const double> y) {
  double sums[8] = {};
  for (size_t i = 0; i < x.size(); ++i) sums[i % 8] += x[i] * y[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// Rows of normal numbers, each made orthogonal to those before it, and of length 1: Q of a QR
// decomposition whose R has a positive diagonal, so that every Q is as likely as any other. Twice,
// since once leaves what rounding makes of nearly parallel rows.
std::vector<double> orthogonal_rows(size_t rows, size_t cols, base::RandomStream& random) {
  std::vector<double> all(rows * cols);
  for (double& value : all) value = random.normal();
  for (size_t i = 0; i < rows; ++i) {
    const std::span<double> row(all.data() + i * cols, cols);
    for (const int pass : {0, 1}) {
      for (size_t j = 0; j < i; ++j) {
        const std::span<const double> before(all.data() + j * cols, cols);
        const double share = dot(row, before);
        for (size_t k = 0; k < cols; ++k) row[k] -= share * before[k];
      }
      const double length = std::sqrt(dot(row, row));
      for (double& value : row) value /= length;
      if (i == 0 && pass == 0) break;
    }
  }
  return all;
}

template <class T>
void make_orthogonal(int64_t fan_in, int64_t fan_out, double gain, base::RandomStream& random,
                     std::span<T> values) {
  base::require<base::ValueError>(
      static_cast<int64_t>(values.size()) == base::checked_product(fan_in, fan_out, "weights"),
      "the initializer 'orthogonal' makes matrices of ", fan_out, " x ", fan_in, ", got ",
      values.size(), " values");
  const auto cols = static_cast<size_t>(fan_in), rows = static_cast<size_t>(fan_out);
  const size_t few = std::min(rows, cols), many = std::max(rows, cols);
  const std::vector<double> q = orthogonal_rows(few, many, random);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < cols; ++j) {
      values[i * cols + j] =
          static_cast<T>(gain * (rows <= cols ? q[i * many + j] : q[j * many + i]));
    }
  }
}

}  // namespace

template <class T>
void initialize(const std::string& name, int64_t fan_in, int64_t fan_out,
                base::RandomStream& random, std::span<T> values, double gain) {
  const Initializer& initializer = find(name);
  if (initializer.shape == Shape::orthogonal) {
    return make_orthogonal(fan_in, fan_out, gain, random, values);
  }
  const double variance =
      initializer.variance(static_cast<double>(fan_in), static_cast<double>(fan_out));
  const double width = std::sqrt(3.0 * variance);
  const double deviation = std::sqrt(variance);
  for (T& value : values) {
    switch (initializer.shape) {
      case Shape::constant:
        value = 0;
        break;
      case Shape::uniform:
        value = static_cast<T>((2.0 * random.uniform() - 1.0) * width);
        break;
      case Shape::orthogonal:
      case Shape::normal:
        value = static_cast<T>(random.normal() * deviation);
        break;
    }
  }
}

std::vector<std::string> initializer_names() {
  std::vector<std::string> names;
  for (const Initializer& initializer : kInitializers) names.emplace_back(initializer.name);
  return names;
}

void check_initializer(const std::string& name) { find(name); }

template void initialize<float>(const std::string&, int64_t, int64_t, base::RandomStream&,
                                std::span<float>, double);
template void initialize<double>(const std::string&, int64_t, int64_t, base::RandomStream&,
                                 std::span<double>, double);

}  // namespace gd::nn

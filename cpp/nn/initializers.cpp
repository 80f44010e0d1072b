#include "nn/initializers.hpp"

#include <algorithm>
#include <cmath>

#include "base/check.hpp"

namespace gd::nn {

namespace {

enum class Shape : uint8_t { constant, uniform, normal };

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
    {"normal", Shape::normal, one},           {"pytorch", Shape::uniform, pytorch},
    {"zeros", Shape::constant, none},
};

const Initializer& find(const std::string& name) {
  std::string all;
  for (const Initializer& initializer : kInitializers) {
    if (name == initializer.name) return initializer;
    all += (all.empty() ? "" : ", ") + std::string(initializer.name);
  }
  throw base::ValueError(base::message("unknown initializer '", name, "', expected one of: ", all));
}

}  // namespace

template <class T>
void initialize(const std::string& name, int64_t fan_in, int64_t fan_out,
                base::RandomStream& random, std::span<T> values) {
  const Initializer& initializer = find(name);
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
                                std::span<float>);
template void initialize<double>(const std::string&, int64_t, int64_t, base::RandomStream&,
                                 std::span<double>);

}  // namespace gd::nn

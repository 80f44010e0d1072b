// What dropout draws.

#include "base/philox.hpp"
#include "cpp/layers/support.hpp"

using gd::kernels::DropoutRows;

namespace {

constexpr int64_t kCols = 1000;

// Ones go in: what comes out is where they were kept.
template <class T>
std::vector<T> drawn(int64_t rows, double rate, uint32_t step, uint32_t layer, uint64_t seed = 9) {
  std::vector<T> x(static_cast<size_t>(rows * kCols), T(1));
  DropoutRows<T> p{};
  p.rows = rows;
  p.cols = p.ldx = p.ldy = kCols;
  p.x = p.y = x.data();
  p.scale = T(1);
  p.threshold = static_cast<uint32_t>(std::nearbyint(rate * 0x1p16));
  p.key[0] = static_cast<uint32_t>(seed);
  p.key[1] = static_cast<uint32_t>(seed >> 32);
  p.step = step;
  p.layer = layer;
  gd::kernels::kernels().of<T>().layers.dropout(p);
  return x;
}

// How many deviations the number of pairs that agree is from what independent ones would have.
double dependence(const std::vector<float>& a, const std::vector<float>& b, size_t shift) {
  double sum = 0;
  const size_t count = a.size() - shift;
  for (size_t i = 0; i < count; ++i) sum += (a[i] - 0.5) * (b[i + shift] - 0.5) * 4;
  return sum / std::sqrt(static_cast<double>(count));
}

}  // namespace

TEST(the_share_left_out_is_the_rate) {
  for (const double rate : {0.1, 0.5, 0.9}) {
    const auto kept = drawn<float>(10'000, rate, 1, 2);  // ten million
    double zeros = 0;
    for (const float value : kept) zeros += value == 0 ? 1 : 0;
    const double count = static_cast<double>(kept.size());
    const double deviation = std::sqrt(rate * (1 - rate) / count);
    CHECK_AT(std::abs(zeros / count - rate) < 4 * deviation, rate, " ", zeros / count);
  }
}

TEST(neighbours_steps_layers_and_seeds_draw_apart) {
  const auto one = drawn<float>(1000, 0.5, 1, 2);
  for (const size_t shift : {size_t{1}, size_t{16}, size_t{64}, size_t{128}, size_t{kCols}}) {
    CHECK_AT(std::abs(dependence(one, one, shift)) < 4, shift);
  }
  CHECK(std::abs(dependence(one, drawn<float>(1000, 0.5, 2, 2), 0)) < 4);
  CHECK(std::abs(dependence(one, drawn<float>(1000, 0.5, 1, 3), 0)) < 4);
  CHECK(std::abs(dependence(one, drawn<float>(1000, 0.5, 1, 2, 10), 0)) < 4);
}

TEST(the_words_are_those_of_philox) {
  const auto kept = drawn<double>(2, 0.25, 5, 3);
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t j = 0; j < kCols; ++j) {
      const auto words = gd::base::philox4x32({static_cast<uint32_t>(j / 128 * 16 + j % 16),
                                               (3u << 24) | static_cast<uint32_t>(row), 3, 5},
                                              {9, 0});
      const uint32_t word = words[static_cast<size_t>(j % 64 / 16)];
      const bool left_out = (j % 128 < 64 ? word & 0xFFFF : word >> 16) < 1u << 14;
      CHECK_EQ(kept[static_cast<size_t>(row * kCols + j)], left_out ? 0.0 : 1.0);
    }
  }
}

TEST(both_types_draw_the_same) {
  const auto want = drawn<float>(50, 0.3, 1, 2);
  const auto same = drawn<double>(50, 0.3, 1, 2);
  for (size_t i = 0; i < want.size(); ++i) CHECK_EQ(static_cast<double>(want[i]), same[i]);
}

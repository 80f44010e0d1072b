// A rule that looks at norms, and one that multiplies matrices, in every way that a plan shares a
// step: no wrapper, no trainer between.

#include "cpp/plan/support.hpp"
#include "optim/grouped_rule.hpp"
#include "optim/pass_rule.hpp"
#include "plan/cost_model.hpp"

using gd::optim::Group;
using gd::optim::Piece;
using gd::optim::Rule;
using gd::optim::StepSetting;
using gd::plan::SharedBy;
using gd::testing::for_both_types;
using gd::testing::network_of;
using gd::testing::Samples;
using gd::testing::stack;
using gd::testing::Training;

namespace {

// w -= lr g / |g|
struct normalized {
  static constexpr const char* name = "normalized";
  static constexpr const char* parameters = "lr";
  static constexpr int passes = 2;
  static constexpr int sums = 1;
  static int states(const StepSetting&) { return 0; }

  template <class T>
  static void pass(int pass, const StepSetting& s, const Piece<T>& x, double* sums) {
    if (pass == 0) {
      sums[0] = gd::optim::squares(x.g, x.size);
      return;
    }
    const T by = static_cast<T>(s.lr / std::sqrt(x.sums[0]));
    for (int64_t i = 0; i < x.size; ++i) x.w[i] -= by * x.g[i];
  }
};

template <class T>
std::unique_ptr<Rule<T>> norm_rule() {
  return std::make_unique<gd::optim::PassRule<T, normalized>>(
      std::vector<Group>{{"of all", {0.01}, 1, 1}});
}

template <class T>
std::unique_ptr<Rule<T>> matrix_rule() {
  return gd::optim::make_rule<T>(
      "muon",
      {0.02, 0.1, 0.95, 1, 3.4445, -4.775, 2.0315, 1e-7, 2, 0, 1, 0.5, 0.9, 0.999, 1e-8, 0.01}, {});
}

constexpr int64_t kInputs = 20;

template <class T, class Make>
std::vector<double> trained(Make make, const std::vector<int64_t>& widths, int64_t rows,
                            int workers, double clip_norm, SharedBy by) {
  const Samples<T> samples(rows, kInputs, 10, 1);
  Training<T> training(network_of<T>(stack(widths, "gelu", "softmax"), kInputs, 7), "cross_entropy",
                       std::min<int64_t>(rows, 512), workers, true, clip_norm, make());
  const gd::plan::Sharing sharing = training.plan().sharing(std::min<int64_t>(rows, 512));
  CHECK_EQ(sharing.workers, workers);
  CHECK(workers == 1 || sharing.by == by);
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < rows; ++i) indices.push_back(i * 7 % rows);
  std::vector<double> result;
  for (int step = 0; step < 3; ++step) {
    const auto batch = samples.batch(rows, step == 0, step == 1);
    result.push_back(step == 2 ? training.step(batch, indices) : training.step(batch));
  }
  const std::vector<T> values = training.values();
  result.insert(result.end(), values.begin(), values.end());
  return result;
}

}  // namespace

TEST(rules_that_are_not_elementwise_give_the_same_bits_by_samples_and_by_tiles) {
  for_both_types([]<class T>() {
    const auto check = [](auto make) {
      for (const double clip_norm : {0.0, 1e-3}) {
        for (const int64_t rows : {300, 1100}) {  // by samples, in pieces
          const auto by = [&](int workers) {
            return trained<T>(make, {70, 40, 10}, rows, workers, clip_norm, SharedBy::samples);
          };
          const std::vector<double> want = by(1);
          for (const int workers : {2, 3}) {
            CHECK_SAME(by(workers), want, rows, " rows, workers ", workers);
          }
        }
        const auto by = [&](int workers) {
          return trained<T>(make, {360, 256, 10}, 260, workers, clip_norm, SharedBy::tiles);
        };
        const std::vector<double> want = by(1);
        for (const int workers : {2, 5}) CHECK_SAME(by(workers), want, "tiles, workers ", workers);
      }
    };
    check(norm_rule<T>);
    check(matrix_rule<T>);
  });
}

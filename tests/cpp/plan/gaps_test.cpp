// No pass reads or writes the gaps between parameters. The tests set nn::checks_gaps, so that every
// plan fills gaps and fresh buffers with a pattern, which would make NaN of any number it got into,
// and throws at the end of a step that wrote over it: here are the networks that have gaps in many
// places, on all ways to share a step.

#include "cpp/plan/support.hpp"

using namespace gd::testing;
using gd::plan::Batch;

namespace {

// No two parameters without a gap between them.
const std::vector<gd::testing::DenseSpec> kOdd = stack({33, 7, 3}, "relu", "identity");
constexpr int64_t kInputs = 5;

}  // namespace

TEST(extents_are_the_parameters_without_gaps) {
  for_both_types([]<class T>() {
    auto network = gd::testing::network_of<T>(kOdd, kInputs, 1);
    int64_t size = 0;
    int64_t end = -1;
    for (const gd::parallel::Range& extent : network.extents()) {
      CHECK(extent.begin > end);  // with a gap before it
      CHECK(extent.begin * static_cast<int64_t>(sizeof(T)) % gd::base::kAlignment == 0);
      size += extent.size();
      end = extent.end;
    }
    CHECK_EQ(size, network.num_parameters());
    auto even = gd::testing::network_of<T>(stack({64, 64}, "relu", "identity"), 64, 1);
    CHECK_EQ(even.extents().size(), size_t{1});
  });
}

TEST(steps_leave_the_gaps_alone_however_they_are_shared) {
  for_both_types([]<class T>() {
    constexpr int64_t kRows = 300;
    const Samples<T> samples(kRows, kInputs, 3, 2);
    for (const double clip_norm : {0.0, 1e-3}) {
      std::vector<T> want;
      for (const int workers : {1, 2, 3}) {
        Training<T> training(kOdd, kInputs, "mse", kRows, workers, false, clip_norm);
        for (int step = 0; step < 3; ++step)
          CHECK(std::isfinite(training.step(samples.batch(samples.rows, false))));
        if (workers == 1) want = training.values();
        CHECK_SAME(training.values(), want, "workers ", workers);
      }
    }
  });
}

TEST(a_gap_that_was_written_is_found) {
  Training<float> training(kOdd, kInputs, "mse", 8, 1);
  const Samples<float> samples(8, kInputs, 3, 2);
  training.step(samples.batch(samples.rows, false));
  const int64_t gap = training.network().extents()[0].end;
  training.network().values()[gap] = 0;
  CHECK_THROWS(std::logic_error, training.step(samples.batch(samples.rows, false)));
}

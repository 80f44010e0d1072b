// Groups and freezing in every way that a step is shared, with gaps and whatever is not written
// watched (nn/gaps.hpp).

#include "base/check.hpp"
#include "cpp/train/support.hpp"
#include "plan/cost_model.hpp"

using namespace gd::testing;
using gd::train::Model;
using gd::train::Trainer;
using gd::train::TrainerOptions;

namespace {

constexpr int kFrozen = TrainerOptions::kFrozen;

// Of {70, 40, 10} units: weights and biases in turn.
const std::vector<std::vector<int>> kChoices = {{0, 1, kFrozen, kFrozen, 0, 1},
                                                {kFrozen, kFrozen, kFrozen, 0, 1, 0},
                                                {kFrozen, kFrozen, kFrozen, kFrozen, 1, kFrozen},
                                                {kFrozen, 0, 1, kFrozen, 1, kFrozen}};

TrainerOptions grouped(int threads, double clip_norm, const std::vector<int>& group_of,
                       double rate_of_frozen = 0) {
  TrainerOptions options = adam_with("mse", threads);
  options.clip_norm = clip_norm;
  std::vector<double> other = options.hyper;
  other[4] = 0;
  options.groups = {{"rest", options.hyper}, {"other", other, 0.3}, {"still", other, 0}};
  options.group_of = group_of;
  for (int& group : options.group_of) {
    if (rate_of_frozen == 0 && group == kFrozen) group = 2;
  }
  return options;
}

template <class T>
std::vector<T> trained(const TrainerOptions& options, int64_t rows, bool shuffle) {
  const Samples<T> samples(2 * rows + 1, kInputs, 10, 1);
  auto model = std::make_shared<Model<T>>(stacked({70, 40, 10}, "gelu", "identity"), kInputs, 3);
  Trainer<T> trainer(model, options);
  for (int epoch = 0; epoch < 2; ++epoch) {
    fit_epoch(trainer, dataset(samples, false), rows, shuffle);
  }
  return values_of(*model);
}

}  // namespace

TEST(freezing_changes_no_bit_of_what_trains) {
  for_both_types([]<class T>() {
    for (const std::vector<int>& choice : kChoices) {
      for (const int64_t rows : {20, 300, 3000}) {  // by tiles, by samples, in pieces
        const bool shuffle = rows == 300;
        const std::vector<T> want = trained<T>(grouped(1, 0, choice), rows, shuffle);
        for (const int workers : {1, 2, 3}) {
          CHECK_SAME(trained<T>(grouped(workers, 0, choice, 1), rows, shuffle), want, "rows ", rows,
                     " workers ", workers);
        }
      }
    }
  });
}

TEST(a_clipped_norm_is_that_of_what_trains_on_any_number_of_workers) {
  for (const std::vector<int>& choice : kChoices) {
    for (const int64_t rows : {20, 300}) {
      const auto by = [&](int workers) {
        return trained<float>(grouped(workers, 1e-3, choice, 1), rows, false);
      };
      const std::vector<float> want = by(1);
      for (const int workers : {2, 3}) CHECK_SAME(by(workers), want, "workers ", workers);
    }
  }
}

TEST(all_frozen_is_refused) {
  auto model = make_model<float>();
  const TrainerOptions options = grouped(1, 0, std::vector<int>(6, kFrozen), 1);
  CHECK_THROWS(gd::base::ValueError, Trainer<float>(model, options));
}

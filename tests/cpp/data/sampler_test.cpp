#include "data/sampler.hpp"

#include <algorithm>
#include <set>

#include "cpp/base/support.hpp"
#include "data/dataset.hpp"

using gd::data::BatchSampler;
using gd::data::Dataset;

namespace {

std::vector<int64_t> order_of(const BatchSampler& sampler) {
  std::vector<int64_t> order;
  for (int64_t i = 0; i < sampler.batches(); ++i) {
    for (const int64_t row : sampler.batch(i)) order.push_back(row);
  }
  return order;
}

std::vector<int64_t> shuffled(int64_t samples, uint64_t seed, uint64_t epoch) {
  BatchSampler sampler(samples, 7);
  sampler.shuffle(seed, epoch);
  return order_of(sampler);
}

bool is_permutation_of_all(std::vector<int64_t> order, int64_t samples) {
  std::sort(order.begin(), order.end());
  for (size_t i = 0; i < order.size(); ++i) {
    if (order[i] != static_cast<int64_t>(i)) return false;
  }
  return static_cast<int64_t>(order.size()) == samples;
}

}  // namespace

TEST(without_a_shuffle_batches_follow_each_other) {
  const BatchSampler sampler(20, 6);
  CHECK(!sampler.shuffled());
  int64_t next = 0;
  for (int64_t i = 0; i < sampler.batches(); next += sampler.batch_rows(i++)) {
    CHECK_EQ(sampler.batch_begin(i), next);
  }
  CHECK_EQ(next, 20);
}

TEST(an_epoch_visits_every_row_once) {
  for (const int64_t samples : {1, 2, 7, 20, 1000}) {
    CHECK(is_permutation_of_all(shuffled(samples, 3, 0), samples));
  }
}

TEST(the_last_batch_may_be_short) {
  BatchSampler sampler(20, 6);
  sampler.shuffle(1, 2);
  CHECK_EQ(sampler.batches(), 4);
  for (int64_t i = 0; i < 4; ++i) {
    CHECK_EQ(sampler.batch_begin(i), 6 * i);
    CHECK_EQ(sampler.batch_rows(i), i < 3 ? 6 : 2);
    CHECK_EQ(static_cast<int64_t>(sampler.batch(i).size()), sampler.batch_rows(i));
  }
  CHECK_EQ(BatchSampler(20, 20).batches(), 1);
  CHECK_EQ(BatchSampler(21, 20).batch_rows(1), 1);
  CHECK_EQ(BatchSampler(5, 1).batches(), 5);
  CHECK_EQ(BatchSampler(5, 8).batch_rows(0), 5);
}

TEST(the_order_depends_on_seed_and_epoch_alone) {
  CHECK(shuffled(100, 3, 5) == shuffled(100, 3, 5));
  std::set<std::vector<int64_t>> orders;
  for (const uint64_t seed : {0, 1, 2}) {
    for (const uint64_t epoch : {0, 1, 2}) orders.insert(shuffled(100, seed, epoch));
  }
  CHECK_EQ(orders.size(), 9u);
  BatchSampler again(100, 7);
  again.shuffle(9, 9);
  again.shuffle(3, 5);  // what came before leaves no trace
  CHECK(order_of(again) == shuffled(100, 3, 5));
  BatchSampler other_batches(100, 32);
  other_batches.shuffle(3, 5);
  CHECK(order_of(other_batches) == shuffled(100, 3, 5));
}

// Every order of three rows is as likely as the others.
TEST(the_shuffle_favours_no_order) {
  std::vector<std::vector<int64_t>> orders;
  constexpr int kEpochs = 3000;
  for (uint64_t epoch = 0; epoch < kEpochs; ++epoch) orders.push_back(shuffled(3, 1, epoch));
  std::sort(orders.begin(), orders.end());
  std::vector<int64_t> order = {0, 1, 2};
  do {
    const auto [first, last] = std::equal_range(orders.begin(), orders.end(), order);
    CHECK_CLOSE(last - first, kEpochs / 6, 85);  // four standard deviations
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(a_part_of_a_dataset_is_its_rows) {
  const std::vector<float> x = gd::testing::normals<float>(40, 1);
  const std::vector<float> target = gd::testing::normals<float>(40, 2);
  const std::vector<float> weights = gd::testing::normals<float>(10, 3);
  const std::vector<int64_t> labels(10, 1);
  Dataset<float> data;
  data.x = {x.data(), 10, 3, 4};
  CHECK_EQ(data.size(), 10);
  const Dataset<float> bare = data.rows(2, 5);
  CHECK_EQ(bare.size(), 5);
  CHECK_EQ(bare.x(0, 1), x[9]);
  CHECK(bare.target.data == nullptr && bare.labels == nullptr && bare.weights == nullptr);
  data.target = {target.data(), 10, 2, 4};
  data.labels = labels.data();
  data.weights = weights.data();
  const Dataset<float> part = data.rows(6, 4).rows(1, 2);
  CHECK_EQ(part.size(), 2);
  CHECK_EQ(part.target.rows, 2);
  CHECK_EQ(part.x(1, 2), x[34]);
  CHECK_EQ(part.target(0, 1), target[29]);
  CHECK(part.labels == labels.data() + 7);
  CHECK(part.weights == weights.data() + 7);
}

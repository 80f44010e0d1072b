#include "optim/grouped_rule.hpp"

#include <limits>

#include "base/check.hpp"
#include "cpp/optim/support.hpp"
#include "optim/elementwise_rule.hpp"

using gd::optim::ElementwiseRule;
using gd::optim::Group;
using gd::optim::GroupedRule;
using gd::optim::ParameterSpan;
using gd::optim::UpdateInput;
using gd::parallel::Range;
using gd::testing::for_both_types;
using gd::testing::kWorkerCounts;

namespace {

// Many small spans and one that workers share, with a frozen one between; gaps hold NaN.
const std::vector<ParameterSpan> kSpans = {{0, 5, 7, {}, 0},
                                           {48, 1, 5, {}, 2},
                                           {112, 1, 16, {}, 1},
                                           {128, 100, 120, {}, 2},
                                           {12128, 9, 4, {}, 0}};
const std::vector<Range> kTrained = {{0, 35}, {48, 53}, {112, 12164}};
constexpr size_t kSize = 12176;

const std::vector<double> kAdam = {0.1, 0.9, 0.999, 1e-8, 0, 0};
const std::vector<double> kAmsgrad = {0.1, 0.5, 0.9, 1e-4, 0.2, 1};
const std::vector<Group> kGroups = {
    {"a", kAdam, 1, 1}, {"b", kAmsgrad, 0.25, 1}, {"c", kAdam, 0.7, 0.2}};

template <class T>
struct Flat {
  explicit Flat(int states) : weights(gd::testing::normals<T>(kSize, 1)) {
    for (int i = 0; i < states; ++i) state.emplace_back(kSize, T(0));
    for (auto& each : state) pointers.push_back(each.data());
  }
  UpdateInput<T> input(std::span<const ParameterSpan> spans, const std::vector<T>& gradients) {
    UpdateInput<T> result;
    result.spans = spans;
    result.extents = kTrained;
    result.weights = weights.data();
    result.gradients = gradients.data();
    result.states = pointers.data();
    return result;
  }
  std::vector<T> weights;
  std::vector<std::vector<T>> state;
  std::vector<T*> pointers;
};

// Of the gap [35, 48) and the frozen [53, 112) nothing may be read.
template <class T>
std::vector<T> gradients(uint64_t step) {
  std::vector<T> result = gd::testing::normals<T>(kSize, 10 + step);
  for (const Range& gap : {Range{35, 48}, Range{53, 112}}) {
    std::fill(result.begin() + gap.begin, result.begin() + gap.end,
              std::numeric_limits<T>::quiet_NaN());
  }
  return result;
}

// Each span by a rule of its own.
template <class T>
std::vector<T> apart() {
  Flat<T> flat(3);
  for (const ParameterSpan& span : kSpans) {
    const Group& group = kGroups[static_cast<size_t>(span.group)];
    ElementwiseRule<T> rule("adam", group.hyper);
    for (int64_t step = 1; step <= 3; ++step) {
      const std::vector<T> g = gradients<T>(static_cast<uint64_t>(step));
      rule.begin_step(group.lr * (0.2 / group.at), step);
      rule.update_piece(flat.input({}, g), span.offset,
                        std::span<const T>(g).subspan(static_cast<size_t>(span.offset),
                                                      static_cast<size_t>(span.size())));
    }
  }
  return flat.weights;
}

}  // namespace

TEST(groups_have_hyperparameters_of_their_own) {
  for_both_types([]<class T>() {
    const std::vector<T> want = apart<T>();
    for (const int workers : kWorkerCounts) {
      GroupedRule<T> rule("adam", kGroups);
      CHECK_EQ(rule.states(), 3);  // amsgrad's
      Flat<T> flat(rule.states());
      for (int64_t step = 1; step <= 3; ++step) {
        const std::vector<T> g = gradients<T>(static_cast<uint64_t>(step));
        rule.begin_step(0.2, step);
        gd::testing::on_team(workers, [&](gd::ops::Worker& worker, gd::ops::TileQueue& queue) {
          rule.update(worker, queue, flat.input(kSpans, g));
        });
      }
      CHECK_SAME(flat.weights, want, "workers ", workers);
    }
  });
}

// A piece may begin and end anywhere, over several groups, gaps and what is frozen.
TEST(pieces_are_updated_by_the_groups_they_lie_in) {
  for_both_types([]<class T>() {
    const std::vector<T> want = apart<T>();
    for (const int64_t size : {1, 7, 64, 100, 5000}) {
      GroupedRule<T> rule("adam", kGroups);
      Flat<T> flat(rule.states());
      for (int64_t step = 1; step <= 3; ++step) {
        const std::vector<T> g = gradients<T>(static_cast<uint64_t>(step));
        rule.begin_step(0.2, step);
        for (int64_t begin = 0; begin < static_cast<int64_t>(kSize); begin += size) {
          const auto count = std::min<size_t>(static_cast<size_t>(size), kSize - begin);
          rule.update_piece(flat.input(kSpans, g), begin,
                            std::span<const T>(g).subspan(static_cast<size_t>(begin), count));
        }
      }
      CHECK_SAME(flat.weights, want, "pieces of ", size);
    }
  });
}

TEST(a_rate_that_a_type_cannot_hold_is_refused) {
  GroupedRule<float> rule("adam", {{"a", kAdam, 1, 1}, {"b", kAdam, 1e30, 1}});
  rule.begin_step(1.0, 1);
  CHECK_THROWS(gd::base::ValueError, rule.begin_step(1e10, 2));
  const std::vector<Group> wrong = {{"a", {0.1}, 1, 1}};
  CHECK_THROWS(gd::base::ValueError, GroupedRule<float>("adam", wrong));
}

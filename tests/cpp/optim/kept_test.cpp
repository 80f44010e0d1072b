// What a rule keeps beside its states, the weights that it has to be evaluated with, and rules that
// go up.

#include <algorithm>
#include <cmath>

#include "base/check.hpp"
#include "cpp/optim/support.hpp"
#include "optim/elementwise_rule.hpp"
#include "optim/grouped_rule.hpp"
#include "optim/maximizing_rule.hpp"

using gd::base::ValueError;
using gd::optim::ElementwiseRule;
using gd::optim::Group;
using gd::optim::make_rule;
using gd::optim::MaximizingRule;
using gd::optim::Rule;
using gd::optim::UpdateInput;
using gd::testing::Bench;
using gd::testing::elements;
using gd::testing::for_both_types;
using gd::testing::kWorkerCounts;

namespace {

const std::vector<double> kNadam = {0.1, 0.9, 0.99, 1e-8, 0.1, 0.3, 0};
const std::vector<double> kFree = {0.1, 0.8, 0.01, 3, 1, 2};  // schedule_free_sgd
const std::vector<double> kAsgd = {0.1, 0.1, 0.75, 2, 0};
const std::vector<double> kSgd = {0.1, 0, 0, 0, 0};

template <class T>
std::unique_ptr<Rule<T>> rule(const char* name, const std::vector<double>& hyper) {
  return make_rule<T>(name, hyper, {});
}

// Hyperparameters of one group for the matrices, of another for the vector between them.
const std::vector<Group> kGroups = {{"a", kNadam, 1, 1},
                                    {"b", {0.1, 0.5, 0.99, 1e-8, 0, 0.3, 1}, 0.5, 1}};

template <class T>
std::vector<T> evaluated(const Rule<T>& of, const UpdateInput<T>& input, int64_t begin,
                         int64_t end) {
  std::vector<T> to(static_cast<size_t>(end - begin), T(-7));
  of.evaluation(input, begin, to);
  return to;
}

// `steps` of them, each with gradients of its own.
template <class T>
void go_on(Bench<T>& bench, int first, int steps, int workers = 1) {
  for (int step = first; step < first + steps; ++step) {
    bench.draw_gradients(static_cast<uint64_t>(step));
    bench.step(workers, 0.1);
  }
}

}  // namespace

TEST(rules_keep_nothing_unless_they_say_so) {
  for_both_types([]<class T>() {
    const auto sgd = rule<T>("sgd", kSgd);
    CHECK(sgd->kept().empty());
    sgd->set_kept({});
    const double one[] = {1};
    CHECK_THROWS(ValueError, sgd->set_kept(one));
    CHECK_THROWS(ValueError, rule<T>("nadam", kNadam)->set_kept({}));
    const auto grouped = make_rule<T>("nadam", {}, kGroups);
    CHECK_THROWS(ValueError, grouped->set_kept(one));
    CHECK_EQ(grouped->kept().size(), size_t{2});
  });
}

// Back to where it was, a rule takes the very steps that it took from there.
TEST(what_is_kept_takes_a_rule_back) {
  for_both_types([]<class T>() {
    for (const bool groups : {false, true}) {
      const auto made = groups ? make_rule<T>("nadam", {}, kGroups) : rule<T>("nadam", kNadam);
      made->begin_step(0.1, 1);
      made->begin_step(0.1, 2);
      const std::vector<double> kept = made->kept();
      for (const double each : kept) CHECK(each > 0 && each < 1);
      made->begin_step(0.1, 3);
      const std::vector<double> after = made->kept();
      CHECK(after != kept);
      made->set_kept(kept);
      CHECK(made->kept() == kept);
      made->begin_step(0.1, 3);
      CHECK(made->kept() == after);
    }
  });
}

TEST(a_maximizing_rule_is_the_rule_with_the_gradient_turned_round) {
  for_both_types([]<class T>() {
    for (const char* name : {"nadam", "schedule_free_sgd"}) {
      const std::vector<double>& hyper = name[0] == 'n' ? kNadam : kFree;
      std::vector<double> up = hyper;
      up.push_back(1);
      const auto plain = rule<T>(name, hyper);
      Bench<T> want(*plain, 1);
      for (int step = 1; step <= 3; ++step) {
        want.draw_gradients(static_cast<uint64_t>(step));
        for (const size_t i : elements()) want.gradients()[i] = -want.gradients()[i];
        want.step(1, 0.1);
      }
      for (const int workers : kWorkerCounts) {
        const auto turned = rule<T>(name, up);
        CHECK_EQ(turned->states(), plain->states());
        CHECK(turned->averages() == plain->averages());
        Bench<T> got(*turned, 1);
        go_on(got, 1, 3, workers);
        CHECK_SAME(got.values(), want.values(), name, " workers ", workers);
        CHECK(turned->kept() == plain->kept());
      }
      up.back() = 0;
      const auto down = rule<T>(name, up);
      CHECK(dynamic_cast<ElementwiseRule<T>*>(down.get()) != nullptr);
    }
  });
}

// A piece that is longer than what is negated at once.
TEST(long_pieces_are_turned_round_whole) {
  constexpr size_t kSize = 2500;
  const std::vector<float> gradients = gd::testing::normals<float>(kSize, 3);
  std::vector<float> weights = gd::testing::normals<float>(kSize, 4);
  std::vector<float> want(kSize);
  for (size_t i = 0; i < kSize; ++i) want[i] = std::fma(0.5f, gradients[i], weights[i]);
  MaximizingRule<float> up(std::make_unique<ElementwiseRule<float>>("sgd", kSgd));
  up.begin_step(0.5, 1);
  UpdateInput<float> input;
  input.weights = weights.data();
  up.update_piece(input, 0, gradients);
  CHECK_SAME(weights, want, "weights");
}

TEST(averaging_rules_tell_what_to_evaluate) {
  // x of the published form beside z, one weight at a time in plain double.
  const auto free = rule<double>("schedule_free_sgd", kFree);
  CHECK(free->averages());
  Bench<double> bench(*free, 1);
  std::vector<double> y = bench.values();
  std::vector<double> z = y;
  std::vector<double> x = y;
  double sum = 0;
  for (int t = 1; t <= 6; ++t) {
    const double rate = 0.1 * std::min(1.0, t / 3.0);
    const double weight = t * rate * rate;  // the rate never falls
    sum += weight;
    bench.draw_gradients(static_cast<uint64_t>(t));
    for (const size_t i : elements()) {
      z[i] -= rate * (bench.gradients()[i] + 0.01 * y[i]);
      x[i] += weight / sum * (z[i] - x[i]);
      y[i] = 0.2 * z[i] + 0.8 * x[i];
    }
    bench.step(1, 0.1);
  }
  const std::vector<double> found = evaluated(*free, bench.input(), 0, gd::testing::kFlatSize);
  for (const size_t i : elements()) {
    CHECK(std::abs(bench.weights()[i] - y[i]) < 1e-12);
    CHECK(std::abs(found[i] - x[i]) < 1e-12);
  }
}

TEST(what_to_evaluate_is_the_same_in_pieces_and_as_part_of_groups) {
  for_both_types([]<class T>() {
    const auto alone = rule<T>("asgd", kAsgd);
    Bench<T> bench(*alone, 1);
    go_on(bench, 1, 6);
    const std::vector<T> whole = evaluated(*alone, bench.input(), 0, gd::testing::kFlatSize);
    const auto grouped = make_rule<T>("asgd", {}, {{"a", kAsgd, 1, 1}});
    CHECK(grouped->averages());
    for (const auto& span : bench.spans()) {
      const int64_t middle = span.offset + span.size() / 2;
      for (const auto& [begin, end] :
           {std::pair{span.offset, middle}, std::pair{middle, span.offset + span.size()}}) {
        const std::vector<T> want(whole.begin() + begin, whole.begin() + end);
        CHECK_SAME(evaluated(*alone, bench.input(), begin, end), want, "piece");
        CHECK_SAME(evaluated(*grouped, bench.input(), begin, end), want, "group");
        const std::vector<T> weights(bench.weights() + begin, bench.weights() + end);
        CHECK(weights != want);
        const auto sgd = rule<T>("sgd", kSgd);
        CHECK(!sgd->averages());
        CHECK_SAME(evaluated(*sgd, bench.input(), begin, end), weights, "no average");
      }
    }
  });
}

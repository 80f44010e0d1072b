// Every variant of every update rule of every instruction set against scalar, step after step.

#include <algorithm>
#include <map>

#include "cpp/kernels/support.hpp"

using gd::kernels::kMaxScalars;
using gd::kernels::kMaxStates;
using gd::kernels::RuleKernel;
using gd::kernels::RuleSpan;
using gd::kernels::TypedKernels;
using gd::testing::Matrix;

namespace {

constexpr int64_t kMostSize = 70;
constexpr int kSteps = 3;

// Each parameter zero or at its typical value, in all combinations; the rate is never zero. An
// epsilon may also be large: what a tiny one is differs between rules.
std::vector<std::vector<double>> hyperparameters(const char* names) {
  const std::vector<double> typical = gd::testing::parameters_of<double>(names);
  std::vector<std::vector<double>> all;
  for (unsigned chosen = 1; chosen < (1u << typical.size()); chosen += 2) {
    std::vector<double> hyper = typical;
    for (size_t i = 0; i < hyper.size(); ++i) {
      if ((chosen >> i & 1) == 0) hyper[i] = 0;
    }
    all.push_back(hyper);
    for (double& value : hyper) {
      if (value != 1e-8) continue;
      value = 1e-3;
      all.push_back(hyper);
    }
  }
  return all;
}

// One of them for each variant that they reach, the fullest.
template <class T>
std::vector<std::vector<double>> one_a_variant(const RuleKernel<T>& rule) {
  std::map<int, std::vector<double>> found;
  for (const auto& hyper : hyperparameters(rule.parameters)) {
    found[rule.variant(hyper.data())] = hyper;
  }
  std::vector<std::vector<double>> all;
  for (const auto& [variant, hyper] : found) all.push_back(hyper);
  return all;
}

// Weights and states of one run, each ending at a page of its own.
template <class T>
struct Parameters {
  Matrix<T> weights{128};
  Matrix<T> states[kMaxStates] = {Matrix<T>{128}, Matrix<T>{128}, Matrix<T>{128}, Matrix<T>{128}};
  double kept[gd::kernels::kMaxKept] = {};

  void start(const std::vector<T>& values, int64_t size) {
    weights.shape(1, size).fill(values);
    for (Matrix<T>& state : states) state.shape(1, size).fill({T(0)});
    std::ranges::fill(kept, 0.0);
  }

  void step(const RuleKernel<T>& rule, const std::vector<double>& hyper, int64_t number,
            Matrix<T>& gradients, int64_t size) {
    double scalars[kMaxScalars] = {};
    rule.prepare(hyper.data(), hyper[0], number, kept, scalars);
    T rounded[kMaxScalars];
    for (int i = 0; i < kMaxScalars; ++i) rounded[i] = static_cast<T>(scalars[i]);
    RuleSpan<T> span{};
    span.size = size;
    span.weights = weights.data();
    span.gradients = gradients.data();
    for (int s = 0; s < rule.states(hyper.data()); ++s) span.states[s] = states[s].data();
    span.scalars = rounded;
    rule.update[rule.variant(hyper.data())](span);
  }
};

template <class T>
class RuleTest {
 public:
  using Gradients = std::vector<T> (*)(int64_t size, uint64_t seed);

  void run(const std::string& where, const RuleKernel<T>& fast, const RuleKernel<T>& reference,
           const std::vector<double>& hyper, int64_t size, Gradients draw) {
    const auto seed = static_cast<uint64_t>(size);
    const std::vector<T> start = gd::testing::normals<T>(size, seed);
    got_.start(start, size);
    want_.start(start, size);
    for (int number = 1; number <= kSteps; ++number) {
      gradients_.shape(1, size).fill(draw(size, seed + static_cast<uint64_t>(100 * number)));
      want_.step(reference, hyper, number, gradients_, size);
      got_.step(fast, hyper, number, gradients_, size);
      CHECK_SAME(got_.weights.values(), want_.weights.values(), where, " size ", size, " step ",
                 number);
      CHECK_AT(got_.weights.surroundings_untouched(), where, " size ", size);
      for (int s = 0; s < kMaxStates; ++s) {
        CHECK_SAME(got_.states[s].values(), want_.states[s].values(), where, " state ", s);
        CHECK_AT(got_.states[s].surroundings_untouched(), where, " state ", s);
      }
    }
  }

 private:
  Parameters<T> got_, want_;
  Matrix<T> gradients_{128};
};

template <class T>
std::vector<T> ordinary(int64_t size, uint64_t seed) {
  return gd::testing::normals<T>(size, seed);
}

// Moments of these are denormal in the first or second step.
template <class T>
std::vector<T> vanishing(int64_t size, uint64_t seed) {
  return gd::testing::normals<T>(size, seed, 4 * std::numeric_limits<T>::min());
}

template <class T>
void all_rules(typename RuleTest<T>::Gradients draw, const std::vector<int64_t>& sizes,
               bool every_combination, const std::string& isa, const TypedKernels<T>& fast,
               const TypedKernels<T>& reference) {
  RuleTest<T> test;
  for (int f = 0; f < gd::kernels::kRules; ++f) {
    for (const auto& hyper : every_combination ? hyperparameters(fast.rules[f].parameters)
                                               : one_a_variant(fast.rules[f])) {
      const std::string where = gd::testing::text(isa, " ", fast.rules[f].name, " variant ",
                                                  fast.rules[f].variant(hyper.data()));
      for (const int64_t size : sizes) {
        test.run(where, fast.rules[f], reference.rules[f], hyper, size, draw);
      }
    }
  }
}

}  // namespace

TEST(rules_agree_with_scalar_over_all_tails) {
  std::vector<int64_t> sizes;
  for (int64_t size = 1; size <= kMostSize; ++size) sizes.push_back(size);
  gd::testing::for_every_table([&]<class T>(const std::string& isa, const TypedKernels<T>& fast,
                                            const TypedKernels<T>& reference) {
    all_rules<T>(ordinary<T>, sizes, false, isa, fast, reference);
    all_rules<T>(ordinary<T>, {37}, true, isa, fast, reference);
  });
}

TEST(rules_agree_with_scalar_on_special_gradients) {
  gd::testing::for_every_table([]<class T>(const std::string& isa, const TypedKernels<T>& fast,
                                           const TypedKernels<T>& reference) {
    all_rules<T>(gd::testing::mixed<T>, {1, 37}, true, isa, fast, reference);
    all_rules<T>(vanishing<T>, {1, 37}, true, isa, fast, reference);
  });
}

TEST(every_variant_is_reached) {
  gd::testing::for_scalar([]<class T>(const std::string&, const TypedKernels<T>& kernels) {
    for (const auto& [name, variants] :
         {std::pair{"sgd", 3}, std::pair{"adam", 4}, std::pair{"rmsprop", 8},
          std::pair{"adagrad", 2}, std::pair{"nadam", 2}, std::pair{"radam", 2},
          std::pair{"adabelief", 4}, std::pair{"yogi", 2}, std::pair{"adan", 2},
          std::pair{"ademamix", 2}, std::pair{"madgrad", 4}, std::pair{"schedule_free_adamw", 2}}) {
      const RuleKernel<T>& rule = kernels.rules[gd::kernels::rule_index(name)];
      std::vector<int> reached(static_cast<size_t>(variants), 0);
      for (const auto& hyper : hyperparameters(rule.parameters)) {
        const int variant = rule.variant(hyper.data());
        CHECK(variant >= 0 && variant < variants);
        reached[static_cast<size_t>(variant)] = 1;
        CHECK(rule.states(hyper.data()) <= kMaxStates);
      }
      for (const int hit : reached) CHECK_EQ(hit, 1);
    }
  });
}

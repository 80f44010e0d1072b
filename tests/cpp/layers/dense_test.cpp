#include <functional>
#include <limits>

#include "base/check.hpp"
#include "cpp/nn/support.hpp"

using gd::base::ValueError;
using gd::testing::DenseSpec;
using gd::testing::stack;

namespace {

using Layers = std::vector<DenseSpec>;

// The error after one change to a good description, "" where there is none.
std::string error_after(const std::function<void(Layers&)>& change, int64_t inputs = 4) {
  Layers layers = stack({6, 5, 3}, "relu", "identity");
  change(layers);
  try {
    gd::layers::graph_of<double>(gd::testing::stack_of(layers), {inputs});
  } catch (const ValueError& error) {
    return error.what();
  }
  return "";
}

bool says(const std::string& error, const std::string& what) {
  return error.find(what) != std::string::npos;
}

}  // namespace

TEST(a_good_description_passes) {
  CHECK_EQ(error_after([](Layers&) {}), "");
  CHECK_EQ(error_after([](Layers& l) { l.resize(1); }, 1), "");
  CHECK_EQ(error_after([](Layers& l) { l[1].name.append(".b"); }), "");
}

TEST(sizes_must_be_positive) {
  CHECK(says(error_after([](Layers&) {}, 0), "input_size"));
  CHECK(says(error_after([](Layers&) {}, -3), "-3"));
  CHECK(says(error_after([](Layers& l) { l[1].units = 0; }), "'1'"));
  CHECK(says(error_after([](Layers& l) { l[2].units = -7; }), "-7"));
  CHECK(says(error_after([](Layers& l) { l.clear(); }), "at least one"));
}

TEST(names_must_be_there_and_differ) {
  CHECK(says(error_after([](Layers& l) { l[1].name.clear(); }), "empty"));
  CHECK(says(error_after([](Layers& l) { l[2].name = l[0].name; }), "'0'"));
}

TEST(activations_and_their_parameters_must_fit) {
  CHECK(says(error_after([](Layers& l) { l[0].activation = "rellu"; }), "'rellu'"));
  CHECK(says(error_after([](Layers& l) { l[0].activation = "elu"; }), "takes 1"));
  CHECK(says(error_after([](Layers& l) { l[0].activation_parameters = {1.0}; }), "takes 0"));
  for (const double bad :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(says(error_after([&](Layers& l) {
                 l[0].activation = "elu";
                 l[0].activation_parameters = {bad};
               }),
               "finite"));
  }
}

TEST(initializers_must_be_known) {
  CHECK(says(error_after([](Layers& l) { l[0].weight_init = "xavier"; }), "'xavier'"));
  CHECK(says(error_after([](Layers& l) { l[1].bias_init = "ones"; }), "'ones'"));
}

TEST(sizes_whose_product_overflows_are_refused) {
  const int64_t large = int64_t{1} << 40;
  CHECK(says(error_after([&](Layers& l) { l[0].units = l[1].units = large; }), "64 bits"));
  // The weights' number fits, their bytes do not.
  CHECK(says(error_after([&](Layers& l) { l[0].units = int64_t{1} << 59; }), "64 bits"));
  // Every layer fits, all together do not.
  Layers many;
  for (int i = 0; i < 16; ++i) {
    many.push_back(gd::testing::dense(std::to_string(i), int64_t{1} << (30 - i % 2), "relu"));
  }
  gd::layers::graph_of<double>(gd::testing::stack_of(many), {int64_t{1} << 29});
  CHECK_THROWS(ValueError, gd::testing::network_of<float>(many, int64_t{1} << 29, 0));
}

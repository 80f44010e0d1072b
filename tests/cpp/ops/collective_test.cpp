#include "ops/collective.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "base/check.hpp"
#include "cpp/ops/support.hpp"
#include "ops/bandwidth.hpp"
#include "ops/formulas.hpp"
#include "ops/peak.hpp"

namespace {

bool flushes_denormals() {
  volatile float small = std::numeric_limits<float>::min();
  return small * 0.5f == 0;
}

}  // namespace

TEST(every_worker_of_a_collective_call_is_in_the_kernels_mode) {
  for (const int workers : gd::testing::kWorkerCounts) {
    std::vector<int> flushed(static_cast<size_t>(workers), 0);
    gd::testing::on_team(workers, [&](gd::ops::Worker& worker, gd::ops::TileQueue&) {
      flushed[static_cast<size_t>(worker.index())] = flushes_denormals() ? 1 : 0;
    });
    for (const int flag : flushed) CHECK_EQ(flag, 1);
    CHECK(!flushes_denormals());
  }
}

TEST(the_mode_is_left_when_a_body_throws) {
  for (const int workers : {1, 3}) {
    CHECK_THROWS(std::runtime_error,
                 gd::testing::on_team(workers, [](gd::ops::Worker&, gd::ops::TileQueue&) {
                   throw std::runtime_error("body");
                 }));
    CHECK(!flushes_denormals());
  }
}

TEST(formulas_are_found_by_name) {
  CHECK_EQ(std::string(gd::ops::find_activation<float>("gelu_tanh").name), "gelu_tanh");
  CHECK_EQ(std::string(gd::ops::find_loss<double>("huber").name), "huber");
  CHECK_EQ(std::string(gd::ops::find_rule<float>("adam").name), "adam");
  CHECK_THROWS(gd::base::ValueError, gd::ops::find_activation<float>("sigmoidal"));
  CHECK_THROWS(gd::base::ValueError, gd::ops::find_loss<float>(""));
  CHECK_THROWS(gd::base::ValueError, gd::ops::find_rule<double>("Adam"));
}

TEST(formulas_tell_their_parameters) {
  const auto parameters = [](const std::vector<gd::ops::FormulaInfo>& all, const char* name) {
    for (const auto& info : all) {
      if (info.name == name) return info.parameters;
    }
    return std::vector<std::string>{"missing"};
  };
  using Names = std::vector<std::string>;
  CHECK((parameters(gd::ops::activation_formulas(), "relu") == Names{}));
  CHECK((parameters(gd::ops::activation_formulas(), "elu") == Names{"alpha"}));
  CHECK((parameters(gd::ops::loss_formulas(), "cross_entropy") ==
         Names{"label_smoothing", "ignore_index", "class_weight"}));
  CHECK((parameters(gd::ops::rule_formulas(), "sgd") ==
         Names{"lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"}));
  CHECK_EQ(gd::ops::activation_formulas().size(), static_cast<size_t>(gd::kernels::kActivations));
  CHECK((gd::ops::split_names("a,b,c") == Names{"a", "b", "c"}));
  CHECK(gd::ops::split_names("").empty());
}

TEST(the_limits_are_positive_numbers) {
  for (const int workers : {1, 2}) {
    const double peak = gd::ops::measure_fma_peak<float>(workers, 0.001);
    CHECK(std::isfinite(peak) && peak > 0);
    for (const int64_t bytes : {0, 1 << 20}) {
      const double bandwidth = gd::ops::measure_memory_bandwidth(workers, bytes, 0.001);
      CHECK(std::isfinite(bandwidth) && bandwidth > 0);
    }
  }
}

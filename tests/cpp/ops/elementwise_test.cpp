// Passes shared by a team give the bits of one kernel call over everything.

#include "ops/elementwise.hpp"

#include <limits>

#include "base/aligned_buffer.hpp"
#include "cpp/ops/support.hpp"
#include "ops/formulas.hpp"
#include "ops/gemm.hpp"

using gd::base::MatrixView;
using gd::ops::TileQueue;
using gd::ops::Worker;
using gd::testing::for_both_types;
using gd::testing::kWorkerCounts;
using gd::testing::normals;
using gd::testing::on_team;

namespace {

constexpr int64_t kRows = 300;  // times kCols: several pieces
constexpr int64_t kCols = 50;
constexpr int64_t kStride = 53;

template <class T>
constexpr T kParameters[] = {T(0.5), T(0.5)};

}  // namespace

TEST(activations_on_a_team_are_those_of_one_call) {
  for_both_types([]<class T>() {
    for (const char* name : {"relu", "gelu", "softmax"}) {
      const auto& activation = gd::ops::find_activation<T>(name);
      const std::vector<T> z = normals<T>(kRows * kStride, 1);
      std::vector<T> want(z.size());
      std::vector<T> want_g = normals<T>(kRows * kStride, 2);
      const std::vector<T>& saved = activation.from_output ? want : z;
      {
        const gd::ops::KernelScope scope;
        activation.forward(kRows, kCols, z.data(), kStride, want.data(), kStride, kParameters<T>);
        activation.backward(kRows, kCols, saved.data(), kStride, want_g.data(), kStride,
                            kParameters<T>);
      }
      for (const int workers : kWorkerCounts) {
        std::vector<T> a(z.size());
        std::vector<T> g = normals<T>(kRows * kStride, 2);
        on_team(workers, [&](Worker& worker, TileQueue& queue) {
          gd::ops::activation_forward<T>(worker, queue, activation, kParameters<T>,
                                         {z.data(), kRows, kCols, kStride},
                                         {a.data(), kRows, kCols, kStride});
        });
        CHECK_SAME(a, want, name, " workers ", workers);
        on_team(workers, [&](Worker& worker, TileQueue& queue) {
          gd::ops::activation_backward<T>(worker, queue, activation, kParameters<T>,
                                          {saved.data(), kRows, kCols, kStride},
                                          {g.data(), kRows, kCols, kStride});
        });
        CHECK_SAME(g, want_g, name, " backward, workers ", workers);
      }
    }
  });
}

namespace {

// Losses and gradient, one after the other.
template <class T, class Run>
std::vector<T> loss_rows(bool by_label, bool with_weights, bool with_gradient, Run run) {
  const std::vector<T> y = normals<T>(kRows * kStride, 3);
  const std::vector<T> target = gd::testing::uniforms<T>(kRows * kStride, 4);
  const std::vector<int64_t> labels = gd::testing::labels_below(kCols, kRows, 5);
  const std::vector<T> weights = gd::testing::uniforms<T>(kRows, 6);
  std::vector<T> losses(kRows);
  std::vector<T> gradient(kRows * kStride);
  gd::kernels::LossRows<T> rows{};
  rows.rows = kRows;
  rows.outputs = kCols;
  rows.prediction = y.data();
  rows.ldp = kStride;
  rows.target = by_label ? nullptr : target.data();
  rows.ldt = kStride;
  rows.labels = by_label ? labels.data() : nullptr;
  rows.weights = with_weights ? weights.data() : nullptr;
  rows.weight_sum = 100;
  rows.parameters = kParameters<T>;
  rows.sample_loss = losses.data();
  rows.gradient = with_gradient ? gradient.data() : nullptr;
  rows.ldg = kStride;
  run(rows);
  losses.insert(losses.end(), gradient.begin(), gradient.end());
  return losses;
}

}  // namespace

TEST(losses_on_a_team_are_those_of_one_call) {
  for_both_types([]<class T>() {
    for (const char* name : {"mse", "cross_entropy"}) {
      const auto& loss = gd::ops::find_loss<T>(name);
      for (const int bits : {0, 1, 2, 3, 4, 5, 6, 7}) {
        const bool by_label = (bits & 1) != 0 && loss.targets == gd::kernels::Targets::categories;
        const auto rows_by = [&](auto run) {
          return loss_rows<T>(by_label, (bits & 2) != 0, (bits & 4) != 0, run);
        };
        const std::vector<T> want = rows_by([&](const auto& rows) {
          const gd::ops::KernelScope scope;
          loss.run(rows);
        });
        for (const int workers : kWorkerCounts) {
          const std::vector<T> got = rows_by([&](const auto& rows) {
            on_team(workers, [&](Worker& worker, TileQueue& queue) {
              gd::ops::loss<T>(worker, queue, loss, rows);
            });
          });
          CHECK_SAME(got, want, name, " case ", bits, " workers ", workers);
        }
      }
    }
  });
}

TEST(column_sums_are_chains_over_parts_of_rows) {
  for_both_types([]<class T>() {
    constexpr int64_t cols = 200;
    for (const int64_t rows : {0, 1, 7, 8, 100}) {
      for (const int64_t part : {1, 8, 256}) {
        for (const bool accumulate : {false, true}) {
          const std::vector<T> x = normals<T>(std::max<int64_t>(1, rows * (cols + 3)), 7);
          const std::vector<T> before = normals<T>(cols, 8);
          std::vector<T> want = before;
          for (int64_t j = 0; j < cols; ++j) {
            T& sum = want[static_cast<size_t>(j)];
            for (int64_t i0 = 0; i0 == 0 || i0 < rows; i0 += part) {
              T chain = 0;
              for (int64_t i = i0; i < std::min(i0 + part, rows); ++i) {
                chain += x[static_cast<size_t>(i * (cols + 3) + j)];
              }
              sum = i0 == 0 && !accumulate ? chain : sum + chain;
            }
          }
          for (const int workers : kWorkerCounts) {
            std::vector<T> got = before;
            std::vector<T> finished(got.size());
            on_team(workers, [&](Worker& worker, TileQueue& queue) {
              gd::ops::column_sum<T>(worker, queue, {x.data(), rows, cols, cols + 3}, part,
                                     accumulate, got.data(), [&](int64_t begin, int64_t size) {
                                       std::copy_n(got.data() + begin, size,
                                                   finished.data() + begin);
                                     });
            });
            CHECK_SAME(got, want, rows, " rows in parts of ", part, " workers ", workers);
            CHECK_SAME(finished, want, rows, " rows in parts of ", part, " workers ", workers);
          }
        }
      }
    }
  });
}

// Of many rows they begin anew, as a matmul with a row of ones does.
TEST(column_sums_of_many_rows_are_those_of_a_matmul) {
  for_both_types([]<class T>() {
    constexpr int64_t cols = 3;
    const int64_t rows = 2 * gd::ops::kLongSum + 300;
    std::vector<T> x = normals<T>(1000 * cols, 13);
    x.resize(static_cast<size_t>(rows * cols));
    for (size_t i = 1000 * cols; i < x.size(); ++i) x[i] = x[i - 1000 * cols];
    const std::vector<T> ones(static_cast<size_t>(rows), T(1));
    std::vector<T> want(cols, T(2));
    gd::ops::GemmProblem<T> p;
    p.m = 1;
    p.n = cols;
    p.k = rows;
    p.a = ones.data();
    p.a_row = rows;
    p.b = x.data();
    p.b_row = cols;
    p.c = want.data();
    p.c_row = cols;
    p.part = 256;
    p.accumulate = true;
    const gd::ops::GemmScratchSize size = gd::ops::gemm_scratch_size<T>(1, cols, rows);
    gd::base::AlignedBuffer<T> scratch(size.all());
    std::vector<T> got(cols, T(2));
    on_team(1, [&](Worker& worker, TileQueue& queue) {
      gd::ops::gemm(worker, queue, {}, p, {scratch.data(), size});
      gd::ops::column_sum<T>(worker, queue, {x.data(), rows, cols, cols}, 256, true, got.data(),
                             [](int64_t, int64_t) {});
    });
    CHECK_SAME(got, want);
  });
}

TEST(parts_are_added_in_order) {
  for_both_types([]<class T>() {
    for (const int64_t size : {1, 15, 16, 17, 100}) {
      const int64_t stride = size + 3;
      const std::vector<T> parts = normals<T>(3 * stride, 11);
      for (const int64_t count : {0, 1, 3}) {
        const std::vector<T> before = normals<T>(size, 12);
        std::vector<T> got(before.size());
        std::vector<T> want = before;
        for (int64_t i = 0; i < size; ++i) {
          for (int64_t k = 0; k < count; ++k) {
            want[static_cast<size_t>(i)] += parts[static_cast<size_t>(k * stride + i)];
          }
        }
        gd::ops::add_parts<T>(before, parts.data(), stride, count, got.data());
        CHECK_SAME(got, want, size, " elements, ", count, " parts");
        got = before;
        gd::ops::add_parts<T>(got, parts.data(), stride, count, got.data());
        CHECK_SAME(got, want, size, " elements, ", count, " parts, in place");
      }
    }
  });
}

TEST(updates_on_a_team_are_those_of_one_call) {
  for_both_types([]<class T>() {
    const std::vector<double> hyper = {0.01, 0.9, 0.99, 1e-8, 0.1, 1};
    const auto& rule = gd::ops::find_rule<T>("adam");
    double scalars[gd::ops::kMaxScalars] = {};
    rule.prepare(hyper.data(), hyper[0], 1, nullptr, scalars);
    T rounded[gd::ops::kMaxScalars];
    for (int i = 0; i < gd::ops::kMaxScalars; ++i) rounded[i] = static_cast<T>(scalars[i]);
    for (const int64_t size : {1, 4095, 4096, 3 * 4096 + 17}) {
      const std::vector<T> g = normals<T>(size, 9);
      const auto updated = [&](auto run) {
        std::vector<T> all = normals<T>(4 * size, 10);  // weights and three states
        for (auto& value : all) value = std::abs(value);
        gd::ops::RuleSpan<T> span{size, all.data(), g.data(), {}, rounded};
        for (int s = 0; s < 3; ++s) span.states[s] = all.data() + (s + 1) * size;
        run(span);
        return all;
      };
      const int variant = rule.variant(hyper.data());
      const int64_t gap = size / 3;  // [gap, 2 gap) is none's
      const std::vector<gd::parallel::Range> extents = {{0, gap}, {2 * gap, size}};
      const std::vector<T> want = updated([&](const auto& span) {
        const gd::ops::KernelScope scope;
        for (const gd::parallel::Range& extent : extents) {
          gd::ops::RuleSpan<T> part = span;
          part.size = extent.size();
          part.weights += extent.begin;
          part.gradients += extent.begin;
          for (int s = 0; s < 3; ++s) part.states[s] += extent.begin;
          rule.update[variant](part);
        }
      });
      for (const int workers : kWorkerCounts) {
        const std::vector<T> got = updated([&](const auto& span) {
          on_team(workers, [&](Worker& worker, TileQueue& queue) {
            // What lies between two extents is not touched.
            gd::ops::update<T>(worker, queue, rule, variant, span, extents);
          });
        });
        CHECK_SAME(got, want, "size ", size, " workers ", workers);
      }
    }
  });
}

TEST(weighted_sum_adds_in_double_and_in_order) {
  for_both_types([]<class T>() {
    const std::vector<T> x = normals<T>(1000, 11);
    const std::vector<T> w = gd::testing::uniforms<T>(1000, 12);
    double plain = 0;
    double weighted = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      plain += static_cast<double>(x[i]);
      weighted += static_cast<double>(x[i]) * static_cast<double>(w[i]);
    }
    CHECK_EQ(gd::ops::weighted_sum<T>(x, nullptr), plain);
    CHECK_EQ(gd::ops::weighted_sum<T>(x, w.data()), weighted);
    CHECK_EQ(gd::ops::weighted_sum<T>({}, nullptr), 0.0);
  });
  // A float sum would lose every one of these.
  std::vector<float> large(1001, 1.0f);
  large[0] = 0x1p30f;
  CHECK_EQ(gd::ops::weighted_sum<float>(large, nullptr), 0x1p30 + 1000);
}

TEST(all_finite_looks_at_every_element) {
  for_both_types([]<class T>() {
    std::vector<T> x = normals<T>(100, 13);
    CHECK(gd::ops::all_finite<T>(x));
    CHECK(gd::ops::all_finite<T>({}));
    for (T& value : x) {
      const T kept = value;
      value = std::numeric_limits<T>::infinity();
      CHECK(!gd::ops::all_finite<T>(x));
      value = std::numeric_limits<T>::quiet_NaN();
      CHECK(!gd::ops::all_finite<T>(x));
      value = kept;
    }
  });
}

// The interface of optim/rule.hpp fits a rule that sees a parameter as a matrix and multiplies.

#include <algorithm>
#include <cmath>

#include "base/aligned_buffer.hpp"
#include "cpp/optim/support.hpp"
#include "ops/gemm.hpp"

using gd::base::AlignedBuffer;
using gd::ops::GemmProblem;
using gd::ops::GemmTiles;
using gd::ops::TileQueue;
using gd::ops::Worker;
using gd::optim::ParameterSpan;
using gd::optim::RuleNeeds;
using gd::optim::SpanKind;
using gd::optim::UpdateInput;

namespace {

// Momentum whose matrices are made orthogonal before they are added, by the cubic iteration of
// Newton and Schulz X = (3 X - X X^T X) / 2; vectors get plain momentum.
// Jordan et al.: "Muon: an optimizer for hidden layers in neural networks", 2024.
template <class T>
class Muon final : public gd::optim::Rule<T> {
 public:
  Muon(const std::vector<ParameterSpan>& spans, int max_workers) {
    int64_t most = 0;
    for (const ParameterSpan& span : spans) {
      const int64_t longest = std::max(span.rows, span.cols);
      scratch_size_.cover(gd::ops::gemm_scratch_size<T>(longest, longest, longest));
      most = std::max({most, span.rows * span.rows, span.size()});
    }
    scratch_ = AlignedBuffer<T>(max_workers * scratch_size_.all());
    for (auto* buffer : {&x_, &next_, &square_}) *buffer = AlignedBuffer<T>(most);
  }

  RuleNeeds needs() const override { return RuleNeeds::matrix; }
  int states() const override { return 1; }
  void begin_step(double lr, int64_t) override { lr_ = static_cast<T>(lr); }

  void update(Worker& worker, TileQueue& queue, const UpdateInput<T>& input) override {
    T* const momentum = input.states[0];
    for (const ParameterSpan& span : input.spans) {
      T* const m = momentum + span.offset;
      if (worker.index() == 0) {
        for (int64_t i = 0; i < span.size(); ++i) {
          m[i] = T(0.9) * m[i] + input.gradients[span.offset + i];
        }
      }
      worker.barrier();
      const T* direction = m;
      if (span.kind == SpanKind::weight) direction = orthogonal(worker, queue, span, m);
      if (worker.index() == 0) {
        for (int64_t i = 0; i < span.size(); ++i) {
          input.weights[span.offset + i] -= lr_ * direction[i];
        }
      }
      worker.barrier();
    }
  }

 private:
  static constexpr int kIterations = 40;

  // (rows, cols), the nearest with orthonormal rows (or columns, where those are fewer).
  const T* orthogonal(Worker& worker, TileQueue& queue, const ParameterSpan& span, const T* m) {
    if (worker.index() == 0) {
      T squares = 0;
      for (int64_t i = 0; i < span.size(); ++i) squares += m[i] * m[i];
      for (int64_t i = 0; i < span.size(); ++i) x_.data()[i] = m[i] / std::sqrt(squares);
    }
    worker.barrier();
    for (int iteration = 0; iteration < kIterations; ++iteration) {
      const int64_t rows = span.rows;
      const int64_t cols = span.cols;
      GemmProblem<T> square;  // X X^T
      square.m = square.n = rows;
      square.k = cols;
      square.a = square.b = x_.data();
      square.a_row = cols;
      square.b_row = 1;
      square.b_col = cols;
      square.c = square_.data();
      square.c_row = rows;
      multiply(worker, queue, square);
      GemmProblem<T> cube;  // X X^T X
      cube.m = cube.k = rows;
      cube.n = cols;
      cube.a = square_.data();
      cube.a_row = rows;
      cube.b = x_.data();
      cube.b_row = cols;
      cube.c = next_.data();
      cube.c_row = cols;
      multiply(worker, queue, cube);
      if (worker.index() == 0) {
        for (int64_t i = 0; i < span.size(); ++i) {
          x_.data()[i] = T(1.5) * x_.data()[i] - T(0.5) * next_.data()[i];
        }
      }
      worker.barrier();
    }
    return x_.data();
  }

  void multiply(Worker& worker, TileQueue& queue, const GemmProblem<T>& problem) {
    const GemmTiles tiles{2, 2};
    gd::ops::gemm(worker, queue, tiles, problem, {scratch_.data(), scratch_size_});
    gd::testing::next_pass(worker, queue);
  }

  T lr_ = 0;
  gd::ops::GemmScratchSize scratch_size_;
  AlignedBuffer<T> scratch_, x_, next_, square_;
};

template <class T>
auto make_muon(int workers) {
  return [workers] { return Muon<T>(gd::testing::three_spans(), workers); };
}

}  // namespace

TEST(a_rule_with_matrices_moves_along_orthonormal_rows_or_columns) {
  Muon<double> rule(gd::testing::three_spans(), 2);
  gd::testing::Bench<double> bench(rule, 7);
  bench.draw_gradients(8);
  const std::vector<double> before = bench.values();
  constexpr double lr = 0.5;
  bench.step(2, lr);
  for (const ParameterSpan& span : bench.spans()) {
    const auto moved = [&](int64_t i, int64_t j) {
      const int64_t at = span.offset + i * span.cols + j;
      return (before[static_cast<size_t>(at)] - bench.weights()[at]) / lr;
    };
    if (span.kind == SpanKind::bias) {
      for (int64_t j = 0; j < span.cols; ++j) {
        CHECK_CLOSE(moved(0, j), bench.gradients()[span.offset + j], 1e-14);
      }
      continue;
    }
    const bool wide = span.rows <= span.cols;
    const int64_t count = std::min(span.rows, span.cols);
    const int64_t length = std::max(span.rows, span.cols);
    for (int64_t a = 0; a < count; ++a) {
      for (int64_t b = 0; b < count; ++b) {
        double dot = 0;
        for (int64_t k = 0; k < length; ++k) {
          dot += wide ? moved(a, k) * moved(b, k) : moved(k, a) * moved(k, b);
        }
        CHECK_CLOSE(dot, a == b ? 1.0 : 0.0, 1e-10);
      }
    }
  }
}

TEST(a_rule_with_matrices_gives_every_team_the_same_bits) {
  gd::testing::for_both_types([]<class T>() {
    const std::vector<T> want = gd::testing::after_three_steps<T>(1, make_muon<T>(1));
    for (const int workers : gd::testing::kWorkerCounts) {
      CHECK_SAME(gd::testing::after_three_steps<T>(workers, make_muon<T>(workers)), want,
                 "workers ", workers);
    }
  });
}

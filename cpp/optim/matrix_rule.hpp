#pragma once

// Rules that see a parameter as the matrix that state_dict has, (rows, cols), however it lies:
// it is read and written row by row, and what is computed of it lies in scratch memory, row-major.

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/function_ref.hpp"
#include "base/panels.hpp"
#include "base/scalar_math.hpp"
#include "ops/elementwise.hpp"
#include "ops/gemm.hpp"
#include "optim/span_rule.hpp"

namespace gd::optim {

// One matrix of a span, or a vector as one row.
struct MatrixItem {
  size_t span = 0;
  int64_t begin = 0;  // in the span
  int64_t rows = 0;
  int64_t cols = 0;
  bool is_matrix = false;
  bool transposed = false;
  bool in_panels = false;
  int64_t statistics = 0;  // where its own begin
  int64_t size() const { return rows * cols; }

  // Elements of a row that lie `stride` apart in the span.
  struct Run {
    int64_t at, stride, count;
  };
  // Those of row i from column j on.
  Run run(int64_t i, int64_t j) const {
    if (!in_panels) {
      return transposed ? Run{begin + i, rows, cols} : Run{begin + i * cols, 1, cols};
    }
    if (transposed) {
      return {begin + base::panel_index(cols, rows, 0, i), base::panel_width(rows, i), cols};
    }
    return {begin + base::panel_index(rows, cols, i, j), 1, base::panel_width(cols, j)};
  }
  // f(at, j) for its elements. Two loops for all layouts: each is compiled with f in it.
  template <class F>
  void for_elements(int64_t i, F&& f) const {
    for (int64_t j = 0; j < cols;) {
      const Run part = run(i, j);
      if (part.stride == 1) {
        for (int64_t k = 0; k < part.count; ++k) f(part.at + k, j + k);
      } else {
        for (int64_t k = 0; k < part.count; ++k) f(part.at + k * part.stride, j + k);
      }
      j += part.count;
    }
  }
};

// Who works on a matrix: all workers of a team, or one of them alone.
template <class T>
struct MatrixTeam {
  ops::Worker& worker;
  ops::TileQueue& queue;
  T* scratch;    // for one matrix
  double* work;  // the same in double
  ops::GemmScratch<T> packing;

  // Rows, or columns, that a worker takes at a time.
  static constexpr int64_t kAtOnce = 32;

  void meet() { next_pass(worker, queue); }
  // f(begin, end) for some of [0, count) at a time, over all workers, who then have met.
  // A queue would be compiled with f in it, twice.
  void for_some(int64_t count, base::FunctionRef<void(int64_t, int64_t)> f) {
    queue.for_each(worker, (count + kAtOnce - 1) / kAtOnce, [&](int64_t piece) {
      f(piece * kAtOnce, std::min(count, (piece + 1) * kAtOnce));
    });
    meet();
  }
  template <class F>
  void for_rows(int64_t rows, F&& f) {
    for_some(rows, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) f(i);
    });
  }
  // f() by one worker, before anybody goes on.
  template <class F>
  void once(F&& f) {
    if (worker.index() == 0) f();
    if (worker.count() > 1) worker.barrier();
  }
  // C = A B of row-major matrices or, where they are said to be so, of their transposes; C is (m,
  // n) and k what is summed over.
  struct Operand {
    const T* data;
    bool transposed = false;
  };
  void multiply(int64_t m, int64_t n, int64_t k, Operand a, Operand b, T* c) {
    ops::GemmProblem<T> p;
    p.m = m;
    p.n = n;
    p.k = k;
    p.a = a.data;
    p.a_row = a.transposed ? 1 : k;
    p.a_col = a.transposed ? m : 1;
    p.b = b.data;
    p.b_row = b.transposed ? 1 : n;
    p.b_col = b.transposed ? k : 1;
    p.c = c;
    p.c_row = n;
    ops::gemm(worker, queue, ops::gemm_tiles<T>(m, n, k, worker.count()), p, packing);
    meet();
  }
};

// A formula F of rules/ as a rule. F has
// - name, parameters, as a formula of kernels has; lr first;
// - states(setting), how many arrays;
// - statistics(item, setting), scratch(item, setting), packing<T>(item, setting): what a matrix
//   keeps, what it needs meanwhile, and for the products that it takes; doubles(item, setting),
//   where it needs room in double, too; flops(item, setting), of the products;
// - update(team, item, setting, place, statistics), which moves one matrix or vector.
template <class T, class F>
class MatrixRule : public SpanRule<T> {
 public:
  explicit MatrixRule(std::vector<Group> groups)
      : SpanRule<T>(F::name, F::parameters, std::move(groups)),
        states_(this->most_states([](const StepSetting& s) { return F::states(s); })) {}

  RuleNeeds needs() const override { return RuleNeeds::matrix; }
  int states() const override { return states_; }
  std::span<T> statistics() override {
    return {statistics_.data(), static_cast<size_t>(statistics_.size())};
  }

  RuleMemory memory(std::span<const ParameterSpan> spans, int workers) const override {
    const Room room = room_for(spans, workers);
    constexpr auto of_double = static_cast<int64_t>(sizeof(double) / sizeof(T));
    return {room.statistics, room.all() + of_double * room.doubles()};
  }

  void prepare(std::span<const ParameterSpan> spans, int workers) override {
    if (room_.workers >= workers) return;
    room_ = room_for(spans, workers);
    if (statistics_.size() != room_.statistics) {
      statistics_ = base::AlignedBuffer<T>(room_.statistics);
    }
    scratch_ = base::AlignedBuffer<T>(room_.all());
    doubles_ = base::AlignedBuffer<double>(room_.doubles());
  }

  int64_t products(std::span<const ParameterSpan> spans) const override {
    int64_t flops = 0;
    const Room room = room_for(spans, 1);
    for (const auto* items : {&room.small, &room.large}) {
      for (const MatrixItem& item : *items)
        flops += F::flops(item, this->setting(spans[item.span]));
    }
    return flops;
  }

  void update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) override {
    const auto small = static_cast<int64_t>(room_.small.size());
    if (small > 0) {
      queue.for_each(worker, small, [&](int64_t index) {
        ops::Worker alone = worker.alone();
        run(alone, queue, input, room_.small[static_cast<size_t>(index)],
            room_.common + worker.slot() * room_.each,
            room_.common_doubles + worker.slot() * room_.doubles_each);
      });
      if (!room_.large.empty()) next_pass(worker, queue);
    }
    for (const MatrixItem& item : room_.large) run(worker, queue, input, item, 0, 0);
  }

 private:
  // Up to so many elements a worker takes a matrix alone, beside others that do so.
  static constexpr int64_t kMostAlone = 4096;

  struct Room {
    std::vector<MatrixItem> small, large;
    int64_t statistics = 0;
    ops::GemmScratchSize packing;  // of each worker
    int64_t common = 0;            // for one large matrix
    int64_t each = 0;              // for a small one of each worker
    int64_t common_doubles = 0;
    int64_t doubles_each = 0;
    int workers = 0;
    int64_t all() const { return common + workers * (each + packing.all()); }
    int64_t doubles() const { return common_doubles + workers * doubles_each; }
  };

  Room room_for(std::span<const ParameterSpan> spans, int workers) const {
    Room room;
    room.workers = workers;
    for (size_t s = 0; s < spans.size(); ++s) {
      const ParameterSpan& span = spans[s];
      MatrixItem item{s, 0, span.rows, span.cols};
      if (span.transposed) std::swap(item.rows, item.cols);
      item.is_matrix = span.kind == SpanKind::weight;
      item.transposed = span.transposed;
      item.in_panels = span.layout == ops::Layout::panels;
      for (int64_t k = 0; k < span.count; ++k, item.begin += item.size()) {
        item.statistics = room.statistics;
        room.statistics += base::padded<T>(F::statistics(item, this->setting(span)));
        room.packing.cover(F::template packing<T>(item, this->setting(span)));
        const bool is_small = item.size() <= kMostAlone;
        int64_t& scratch = is_small ? room.each : room.common;
        scratch = std::max(scratch, base::padded<T>(F::scratch(item, this->setting(span))));
        if constexpr (requires { &F::doubles; }) {
          int64_t& doubles = is_small ? room.doubles_each : room.common_doubles;
          doubles = std::max(doubles, base::padded<double>(F::doubles(item, this->setting(span))));
        }
        (is_small ? room.small : room.large).push_back(item);
      }
    }
    return room;
  }

  void run(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input,
           const MatrixItem& item, int64_t scratch, int64_t doubles) {
    T* const packing = scratch_.data() + room_.common + room_.workers * room_.each;
    MatrixTeam<T> team{worker,
                       queue,
                       scratch_.data() + scratch,
                       doubles_.data() + doubles,
                       {packing, room_.packing}};
    const StepSetting& setting = this->setting(input.spans[item.span]);
    F::update(team, item, setting, input.place(item.span, states_),
              statistics_.data() + item.statistics);
  }

  int states_;
  Room room_;
  base::AlignedBuffer<T> statistics_, scratch_;
  base::AlignedBuffer<double> doubles_;
};

// A step of AdamW, for what a rule does not see as a matrix.
template <class T>
struct AdamStep {
  AdamStep(double lr, double beta1, double beta2, double epsilon, double decay,
           const StepSetting& s)
      : keep1(static_cast<T>(beta1)),
        take1(static_cast<T>((1 - beta1) * s.sign)),
        keep2(static_cast<T>(beta2)),
        take2(static_cast<T>(1 - beta2)),
        rate(static_cast<T>(lr / (1 - base::power(beta1, s.step)))),
        root_scale(static_cast<T>(1 / __builtin_sqrt(1 - base::power(beta2, s.step)))),
        eps(static_cast<T>(epsilon)),
        shrink(static_cast<T>(1 - lr * decay)) {}

  void operator()(T& w, T g, T& m, T& v) const {
    m = keep1 * m + take1 * g;
    v = keep2 * v + take2 * g * g;
    w = shrink * w - rate * m / (root_scale * std::sqrt(v) + eps);
  }

  T keep1, take1, keep2, take2, rate, root_scale, eps, shrink;
};

// Of terms that are in order, by whoever asks.
template <class T>
double sum_of(const T* terms, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(terms[i]);
  return sum;
}

}  // namespace gd::optim

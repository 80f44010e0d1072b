#pragma once

// Rules at work on flat buffers, on teams of any size.

#include <algorithm>
#include <limits>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "cpp/ops/support.hpp"
#include "optim/rule.hpp"

namespace gd::testing {

// Three parameters with gaps between them, as a network lays them out. What is in the gaps would
// spoil whatever it got into.
inline std::vector<optim::ParameterSpan> three_spans() {
  return {{0, 5, 7, optim::SpanKind::weight, 0},
          {48, 1, 5, optim::SpanKind::bias, 0},
          {64, 9, 4, optim::SpanKind::weight, 0}};
}
inline constexpr parallel::Range kExtents[] = {{0, 35}, {48, 53}, {64, 100}};
inline constexpr int64_t kFlatSize = 112;

// The places of a flat buffer that are in no gap.
inline std::vector<size_t> elements() {
  std::vector<size_t> places;
  for (const parallel::Range& extent : kExtents) {
    for (int64_t i = extent.begin; i < extent.end; ++i) places.push_back(static_cast<size_t>(i));
  }
  return places;
}

// Weights, gradients and states of one rule over three_spans().
template <class T>
class Bench {
 public:
  Bench(optim::Rule<T>& rule, uint64_t seed)
      : rule_(rule), spans_(three_spans()), weights_(kFlatSize), gradients_(kFlatSize) {
    for (int i = 0; i < rule.states(); ++i) states_.emplace_back(kFlatSize);
    for (auto* flat : {&weights_, &gradients_}) spoil_gaps(flat->data());
    for (auto& state : states_) spoil_gaps(state.data());
    for (auto& state : states_) pointers_.push_back(state.data());
    fill(weights_, seed);
  }

  T* weights() { return weights_.data(); }
  T* gradients() { return gradients_.data(); }
  const std::vector<optim::ParameterSpan>& spans() const { return spans_; }

  // Normals in the spans.
  void draw_gradients(uint64_t seed) { fill(gradients_, seed); }

  optim::UpdateInput<T> input() {
    optim::UpdateInput<T> result;
    result.spans = spans_;
    result.extents = kExtents;
    result.weights = weights_.data();
    result.gradients = gradients_.data();
    result.states = pointers_.data();
    return result;
  }

  void step(int workers, double lr,
            const base::FunctionRef<double(ops::Worker&)>* closure = nullptr) {
    optim::UpdateInput<T> input = this->input();
    input.closure = closure;
    rule_.begin_step(lr, ++steps_);
    on_team(workers, [&](ops::Worker& worker, ops::TileQueue& queue) {
      rule_.update(worker, queue, input);
    });
  }

  std::vector<T> values() const {
    return std::vector<T>(weights_.data(), weights_.data() + kFlatSize);
  }

 private:
  static void spoil_gaps(T* flat) {
    int64_t end = 0;
    for (const parallel::Range& extent : kExtents) {
      std::fill(flat + end, flat + extent.begin, std::numeric_limits<T>::quiet_NaN());
      end = extent.end;
    }
    std::fill(flat + end, flat + kFlatSize, std::numeric_limits<T>::quiet_NaN());
  }
  void fill(base::AlignedBuffer<T>& flat, uint64_t seed) {
    const std::vector<T> values = normals<T>(kFlatSize, seed);
    for (const optim::ParameterSpan& span : spans_) {
      for (int64_t i = span.offset; i < span.offset + span.size(); ++i) {
        flat.data()[i] = values[static_cast<size_t>(i)];
      }
    }
  }

  optim::Rule<T>& rule_;
  std::vector<optim::ParameterSpan> spans_;
  base::AlignedBuffer<T> weights_;
  base::AlignedBuffer<T> gradients_;
  std::vector<base::AlignedBuffer<T>> states_;
  std::vector<T*> pointers_;
  int64_t steps_ = 0;
};

// The weights after three steps with fresh gradients, for a rule made anew by make().
template <class T, class Make>
std::vector<T> after_three_steps(int workers, Make make) {
  auto rule = make();
  Bench<T> bench(rule, 1);
  for (uint64_t step = 1; step <= 3; ++step) {
    bench.draw_gradients(10 + step);
    bench.step(workers, 0.1 / static_cast<double>(step));
  }
  return bench.values();
}

// Two passes of one rule over one queue: all have left the first, and one resets it.
inline void next_pass(ops::Worker& worker, ops::TileQueue& queue) {
  worker.barrier();
  if (worker.index() == 0) queue.reset();
  worker.barrier();
}

}  // namespace gd::testing

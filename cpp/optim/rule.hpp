#pragma once

// What every update rule is to the rest of the library. A rule sees flat spans with the shape, kind
// and group of each parameter, never a layer or a network.

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.hpp"
#include "base/function_ref.hpp"
#include "ops/collective.hpp"
#include "ops/extents.hpp"
#include "ops/formulas.hpp"
#include "ops/gemm.hpp"

namespace gd::optim {

using ops::RuleNeeds;

enum class SpanKind : uint8_t { weight, bias, other };

// One parameter in the flat buffers. Rules that need matrices (preconditioners, orthogonalization)
// use rows and cols; norms are taken span by span; groups may have hyperparameters of their own.
// Of what is no weight one row is a vector.
struct ParameterSpan {
  int64_t offset = 0;
  int64_t rows = 0;
  int64_t cols = 0;
  SpanKind kind = SpanKind::other;
  int group = 0;
  ops::Layout layout = ops::Layout::strided;  // row-major or in panels
  // Whether rows and cols are those of the transpose of what state_dict has.
  bool transposed = false;
  int64_t count = 1;  // such matrices, one after the other
  int64_t size() const { return count * rows * cols; }
};

// Of a rule and all that goes around it.
inline constexpr int kMostStates = ops::kMaxStates + 8;

// Where one of them lies.
template <class T>
struct SpanPlace {
  T* weights = nullptr;
  const T* gradients = nullptr;
  T* states[kMostStates] = {};
};

// What a rule takes beside states, in elements: statistics that it keeps, and scratch memory.
struct RuleMemory {
  int64_t statistics = 0;
  int64_t scratch = 0;
};

template <class T>
struct UpdateInput {
  std::span<const ParameterSpan> spans;
  ops::Extents extents;  // of each flat buffer: the spans, those without a gap between as one
  T* weights = nullptr;
  const T* gradients = nullptr;
  T* const* states = nullptr;  // states() flat buffers, zero before the first step
  // Of arrays that are in no common buffer, by their spans; the buffers above are then null.
  const SpanPlace<T>* places = nullptr;

  SpanPlace<T> place(size_t span, int count) const {
    if (places != nullptr) return places[span];
    const int64_t at = spans[span].offset;
    SpanPlace<T> place{weights + at, gradients + at, {}};
    for (int s = 0; s < count; ++s) place.states[s] = states[s] + at;
    return place;
  }
};

// What is done once a step, by one thread, before update: the rate and the step's number, from 1.
class StepBeginning {
 public:
  virtual ~StepBeginning() = default;
  virtual void begin_step(double lr, int64_t step) = 0;
};

template <class T>
class Rule : public StepBeginning {
 public:
  // The most a rule reads for one element: its own gradient, a norm over its span, its whole
  // matrix, or losses at other weights: those are solvers (solvers/solver.hpp), and no part of a
  // step. The plan fuses updates into backward only for elementwise rules.
  virtual RuleNeeds needs() const = 0;
  virtual int states() const = 0;

  // Gives a hyperparameter of a group, by its place among the rule's parameters, the value that it
  // has from the next begin_step on; that of place 0, the rate, is then in place of begin_step's.
  virtual void set_hyper(int /*group*/, int /*index*/, double /*value*/) {
    throw base::StateError("no hyperparameter of this update rule can follow a schedule");
  }

  // By all workers of a team together. A rule that needs norms or matrices may use barriers.
  virtual void update(ops::Worker& worker, ops::TileQueue& queue, const UpdateInput<T>& input) = 0;

  // Elementwise rules only, StateError for others: the weights and states from `begin` on, by one
  // worker, with these gradients. Workers may do so at once where their pieces do not meet.
  virtual void update_piece(const UpdateInput<T>&, int64_t /*begin*/,
                            std::span<const T> /*gradients*/) {
    throw base::StateError("this update rule is not elementwise");
  }

  // Of rules that are not elementwise. `prepare` comes before the first update, with the very spans
  // that updates have, and again before one by more workers; all memory is made there. Statistics
  // belong to parameters as wholes, as sums over rows; zero before the first step, saved and taken
  // back with the states.
  virtual RuleMemory memory(std::span<const ParameterSpan> /*spans*/, int /*workers*/) const {
    return {};
  }
  virtual void prepare(std::span<const ParameterSpan> /*spans*/, int /*workers*/) {}
  virtual std::span<T> statistics() { return {}; }
  // Floating-point operations of a step beside those of a pass over the elements.
  virtual int64_t products(std::span<const ParameterSpan> /*spans*/) const { return 0; }

  // Numbers beside the states that begin_step changes and later steps go on from. Whoever saves or
  // takes back states does so with these; set_kept takes as many as kept() gives, else ValueError.
  virtual std::vector<double> kept() const { return {}; }
  virtual void set_kept(std::span<const double> kept) {
    base::require<base::ValueError>(kept.empty(), "this update rule keeps no numbers, got ",
                                    kept.size());
  }

  // Whether a network is to be evaluated with other weights than those that are trained. Those from
  // `begin` on, made of weights and states as they are between steps, by one worker within a
  // KernelScope; where it does not average, the weights themselves.
  virtual bool averages() const { return false; }
  virtual void evaluation(const UpdateInput<T>& input, int64_t begin, std::span<T> to) const {
    std::copy_n(input.weights + begin, to.size(), to.data());
  }
};

}  // namespace gd::optim

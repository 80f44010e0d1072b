#pragma once

#include "plan/operations/head_losses.hpp"
#include "plan/passes/passes.hpp"
#include "plan/plan.hpp"

namespace gd::plan {

// Has the layers list their steps, rewrites them (passes/), lays out the arena and makes the
// operations.
template <class T>
class Plan<T>::Compiler {
 public:
  Compiler(Plan& plan, nn::Network<T>& network);

  void compile();
  // The arena's parts, without the arena.
  PlanMemory measure();

 private:
  // Adds the steps around the layers': what comes before, the loss, and what follows the gradients.
  void steps();
  Step<T> gather_step();
  Step<T> loss_step(ValueId output, ValueId gradient);
  std::vector<HeadLossPart<T>> head_parts() const;
  Step<T> clip_step();
  Step<T> update_step();
  Step<T> update_seen_step();

  // How wide targets are, and how many losses a sample has.
  int64_t target_cols() const;
  int64_t losses_a_sample() const;
  // Lays out the arena. Runs twice: the first time without memory, to learn its size.
  void layout();
  T* take(int64_t rows, int64_t cols);
  int64_t bytes_used() const { return used_ * static_cast<int64_t>(sizeof(T)); }
  void place_values();
  void replicas();
  int64_t most_partial_gradients() const;

  void make_operations();
  void name(Operation<T>& operation) const;  // as a recording shows it

  Plan& plan_;
  nn::Network<T>& network_;
  const PlanOptions<T>& options_;
  Builder<T> builder_;
  std::vector<Step<T>> steps_;
  passes::Slots slots_;
  Places<T> places_;
  T* base_ = nullptr;
  int64_t used_ = 0;
  PlanMemory memory_;
  GatherBuffers<T> gathered_;
};

}  // namespace gd::plan

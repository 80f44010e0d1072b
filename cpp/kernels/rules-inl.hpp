#pragma once

// Update rules from their formulas: one pass over a span. Included after an ISA's vec.hpp.

#include "kernels/formulas/all.hpp"
#include "kernels/lanes-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels {
namespace {

template <class V, class F, int Variant>
void update_span(const RuleSpan<typename V::scalar>& span) {
  using T = typename V::scalar;
  constexpr int states = F::states_of(Variant);
  static_assert(states <= kMaxStates, "a rule's states");
  T* const w = span.weights;
  const T* const g = span.gradients;
  T* s[kMaxStates];
  for (int k = 0; k < states; ++k) s[k] = span.states[k];
  const typename F::template Scalars<V> scalars(span.scalars);
  for_vectors<V>(
      span.size,
      [&](int64_t i) {
        V state[kMaxStates];
        for (int k = 0; k < states; ++k) state[k] = V::load(s[k] + i);
        V::store(w + i,
                 F::template update<V, Variant>(V::load(w + i), V::load(g + i), state, scalars));
        for (int k = 0; k < states; ++k) V::store(s[k] + i, state[k]);
      },
      [&](int64_t i, int n) {
        V state[kMaxStates];
        for (int k = 0; k < states; ++k) state[k] = V::load(s[k] + i, n, 0);
        V::store(w + i, n,
                 F::template update<V, Variant>(V::load(w + i, n, 0), V::load(g + i, n, 0), state,
                                                scalars));
        for (int k = 0; k < states; ++k) V::store(s[k] + i, n, state[k]);
      });
}

template <class F>
int rule_states(const double* hyper) {
  return F::states_of(F::variant(hyper));
}

template <class F>
void prepare_rule(const double* hyper, double lr, int64_t step, double* kept, double* scalars) {
  if constexpr (requires { F::kKept; })
    F::prepare(hyper, lr, step, kept, scalars);
  else
    F::prepare(hyper, lr, step, scalars);
}

template <class F>
constexpr int kept_numbers() {
  if constexpr (requires { F::kKept; })
    return F::kKept;
  else
    return 0;
}

template <class F>
constexpr auto evaluation_of() -> double (*)(const double*) {
  if constexpr (requires { &F::evaluation; })
    return F::evaluation;
  else
    return nullptr;
}

template <int... Is>
struct Indices {};

template <class V, class F, int... Variants>
struct UpdateList {
  static constexpr void (*functions[])(const RuleSpan<typename V::scalar>&) = {
      update_span<V, F, Variants>...};
};

template <class V, class F, int N, int... Is>
constexpr auto updates() {
  if constexpr (N == 0)
    return UpdateList<V, F, Is...>{};
  else
    return updates<V, F, N - 1, N - 1, Is...>();
}

template <class V, class F>
constexpr RuleKernel<typename V::scalar> rule_kernel() {
  static_assert(count_names(F::parameters) == F::kParameters, "names of a rule's parameters");
  static_assert(F::kScalars <= kMaxScalars, "a rule's scalars");
  static_assert(kept_numbers<F>() <= kMaxKept, "what a rule keeps");
  return {F::name,
          F::parameters,
          F::variant,
          rule_states<F>,
          kept_numbers<F>(),
          prepare_rule<F>,
          evaluation_of<F>(),
          decltype(updates<V, F, F::variants>())::functions};
}

}  // namespace
}  // namespace gd::kernels

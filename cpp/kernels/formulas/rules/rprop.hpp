#pragma once

#include "kernels/formulas/root-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// s = clamp(s eta2, step_size1, step_size2) where g has the sign that it had before, s eta1 where
// it has the other, s where one of them is 0; s starts from lr
// w -= sign(g) s, but where the sign has changed, w stays and g counts as 0 in the next step
// Riedmiller, Braun: "A direct adaptive method for faster backpropagation learning: the RPROP
// algorithm", ICNN 1993; without going back, as PyTorch has it.
struct rprop {
  static constexpr const char* name = "rprop";
  static constexpr const char* parameters = "lr,eta1,eta2,step_size1,step_size2";
  enum { kLr, kEta1, kEta2, kLeast, kMost, kParameters };

  static constexpr int variants = 1;
  static constexpr int states_of(int) { return 2; }
  static int variant(const double*) { return 0; }

  enum { kStart, kShorter, kLonger, kShortest, kLongest, kScalars };
  static void prepare(const double* h, double lr, int64_t, double* scalars) {
    scalars[kStart] = lr;
    scalars[kShorter] = h[kEta1];
    scalars[kLonger] = h[kEta2];
    scalars[kShortest] = h[kLeast];
    scalars[kLongest] = h[kMost];
  }

  template <class V>
  struct Scalars {
    explicit Scalars(const typename V::scalar* s)
        : start(V::set1(s[kStart])),
          shorter(V::set1(s[kShorter])),
          longer(V::set1(s[kLonger])),
          shortest(V::set1(s[kShortest])),
          longest(V::set1(s[kLongest])) {}
    V start, shorter, longer, shortest, longest;
  };

  template <class V, int>
  static V update(V w, V g, V* state, const Scalars<V>& c) {
    V& before = state[0];  // the sign is all that is needed of it
    V& size = state[1];
    const V zero = V::set1(0);
    const V now = kernels::sign(g);
    const V same = V::mul(now, before);
    const auto turned = V::lt(same, zero);
    V factor = V::select(V::gt(same, zero), c.longer, V::set1(1));
    factor = V::select(turned, c.shorter, factor);
    size = V::select(V::gt(size, zero), size, c.start);
    size = V::min(V::max(V::mul(size, factor), c.shortest), c.longest);
    before = V::select(turned, zero, now);
    return V::fma(V::sub(zero, before), size, w);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

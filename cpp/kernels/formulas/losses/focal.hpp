#pragma once

#include "kernels/math-inl.hpp"
#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// -sum_c w_c q_c (1 - p_c)^gamma log p_c over the classes c of one sample, p = softmax(y), q one at
// the label or the distribution that is given, w the array alpha.
struct focal {
  static constexpr const char* name = "focal";
  static constexpr const char* parameters = "gamma";
  static constexpr const char* array = "alpha";
  static constexpr Targets targets = Targets::categories;
  static constexpr bool row_wise = true;

  template <class Samples, class V = typename Samples::vector, class T = typename V::scalar>
  static V loss(Samples& samples, const T* parameters) {
    const V zero = V::set1(0), one = V::set1(1);
    // As cross_entropy has it: rest leaves out one output at the top.
    const V top = samples.max();
    const auto exp_of = [&](V y) { return kernels::exp(V::sub(y, top)); };
    const auto below = samples.sum_below_one([&](auto at) {
      const V e = exp_of(samples.prediction(at));
      if (samples.wants_gradient()) samples.set_gradient(at, e);
      return e;
    });
    const V rest = V::add(below.sum, V::sub(below.others, one));
    const V sum = V::add(one, rest);
    const V lost = V::sub(rest, V::sub(sum, one));
    const V log_sum = V::add(kernels::log(sum), V::div(lost, sum));
    const auto class_of = [&](V y, V e) {
      return Class<V>(V::sub(V::sub(y, top), log_sum), V::div(e, sum),
                      V::select(V::lt(e, one), zero, V::div(rest, sum)), parameters[0]);
    };

    if (samples.labelled()) {
      const V y = samples.of_label();
      const Class<V> at_label = class_of(y, exp_of(y));
      const V weight = samples.has_array() ? samples.of_array_at_label() : one;
      if (samples.wants_gradient()) {
        const V slope = V::mul(samples.scale(), V::mul(weight, at_label.slope));
        const V minus_share = V::div(V::sub(zero, slope), sum);
        samples.set_gradients(V::mul(slope, at_label.missing),
                              [&](auto at) { return V::mul(minus_share, samples.gradient(at)); });
      }
      return V::mul(weight, at_label.loss);
    }
    const auto q_of = [&](auto at) {
      const V q = samples.target(at);
      return samples.has_array() ? V::mul(samples.of_array(at), q) : q;
    };
    // A weight of zero counts as zero beside minus infinity too.
    const auto share = [&](V q, V v) { return V::select(V::eq(q, zero), zero, V::mul(q, v)); };
    if (!samples.wants_gradient()) {
      return samples.sum([&](auto at) {
        const V y = samples.prediction(at);
        return share(q_of(at), class_of(y, exp_of(y)).loss);
      });
    }
    const V slopes = samples.sum([&](auto at) {
      return share(q_of(at), class_of(samples.prediction(at), samples.gradient(at)).slope);
    });
    return samples.sum([&](auto at) {
      const Class<V> here = class_of(samples.prediction(at), samples.gradient(at));
      const V others = V::sub(slopes, share(q_of(at), here.slope));
      const V own = V::mul(share(q_of(at), here.slope), here.missing);
      const V g = V::sub(own, V::mul(here.p, others));
      samples.set_gradient(at, V::mul(samples.scale(), g));
      return share(q_of(at), here.loss);
    });
  }

 private:
  // Of one class: its loss f(p) = -(1 - p)^gamma log p, and p f'(p).
  template <class V>
  struct Class {
    using T = typename V::scalar;
    V p, missing, loss, slope;

    // at_the_top: 1 - p of the largest; zero for others, whose p is at most 1/2.
    Class(V log_p, V probability, V at_the_top, T gamma) : p(probability) {
      const V zero = V::set1(0), one = V::set1(1);
      missing = V::select(V::gt(at_the_top, zero), at_the_top, V::sub(one, p));
      const V power =
          gamma == 0 ? one : kernels::exp(V::mul(V::set1(gamma), kernels::log(missing)));
      loss = V::mul(power, V::sub(zero, log_p));
      // p log p / (1 - p), which is -1 at p = 1.
      const V ratio = V::div(V::mul(p, log_p), missing);
      const V turn = V::select(V::eq(missing, zero), V::sub(zero, one), ratio);
      slope = V::mul(power, V::fma(V::set1(gamma), turn, V::sub(zero, one)));
    }
  };
};

}  // namespace
}  // namespace gd::kernels::formulas

#pragma once

#include "kernels/table.hpp"

namespace gd::kernels::formulas {
namespace {

// -sum_c w_c q_c y_c over the classes c of one sample, y log-probabilities, q one at the label or
// the distribution that is given, w the classes' weights. ignore_index is for who reads labels.
struct nll {
  static constexpr const char* name = "nll";
  static constexpr const char* parameters = "ignore_index";
  static constexpr const char* array = "class_weight";
  static constexpr bool weighs_labels = true;
  static constexpr Targets targets = Targets::categories;
  static constexpr bool row_wise = true;

  template <class Samples, class V = typename Samples::vector, class T = typename V::scalar>
  static V loss(Samples& samples, const T*) {
    const V zero = V::set1(0), one = V::set1(1);
    // A weight of zero counts as zero beside minus infinity too.
    const auto share = [&](V q, V y) {
      return V::select(V::eq(q, zero), V::select(V::eq(y, y), zero, y), V::mul(q, V::sub(zero, y)));
    };
    const V minus_scale = V::sub(zero, samples.scale());
    if (samples.labelled()) {
      const V weight = samples.has_array() ? samples.of_array_at_label() : one;
      if (samples.wants_gradient()) {
        samples.set_gradients(V::mul(minus_scale, weight), [&](auto) { return zero; });
      }
      return share(weight, samples.of_label());
    }
    const auto q_of = [&](auto at) {
      const V q = samples.target(at);
      return samples.has_array() ? V::mul(samples.of_array(at), q) : q;
    };
    return samples.sum([&](auto at) {
      const V y = samples.prediction(at), q = q_of(at);
      if (samples.wants_gradient()) {
        samples.set_gradient(at, V::select(V::eq(y, y), V::mul(minus_scale, q), y));
      }
      return share(q, y);
    });
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

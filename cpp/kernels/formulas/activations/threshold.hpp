#pragma once

namespace gd::kernels::formulas {
namespace {

// a = z for z > threshold, else value; the derivative at the threshold is 0. Not from a: a value
// above the threshold could be either.
struct threshold {
  static constexpr const char* name = "threshold";
  static constexpr const char* parameters = "threshold,value";
  static constexpr bool from_output = false;

  template <class V>
  static V forward(V z, const typename V::scalar* p) {
    return V::select(V::le(z, V::set1(p[0])), V::set1(p[1]), z);  // of NaN NaN
  }

  template <class V>
  static V backward(V z, V g, const typename V::scalar* p) {
    return V::select(V::le(z, V::set1(p[0])), V::set1(0), g);
  }

  template <class V>
  static V second(V, const typename V::scalar*) {
    return V::set1(0);
  }
};

}  // namespace
}  // namespace gd::kernels::formulas

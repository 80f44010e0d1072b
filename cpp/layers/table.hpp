#pragma once

// A row of the table of kinds.

#include "layers/layer.hpp"

namespace gd::layers {

template <class T>
struct Kind {
  void (*infer)(const Inputs& inputs, nn::Node& node);
  plan::Lowering<T> lowering;
  plan::Lowering<T> tangents;  // without functions where there are none
  bool reads_codes;
  bool reads_sparse;
};

// By its name; null where there is none.
template <class T>
const Kind<T>* find_kind(const std::string& name);

}  // namespace gd::layers

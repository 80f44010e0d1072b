#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/panels.hpp"
#include "nn/gaps.hpp"
#include "nn/layers.hpp"

namespace gd::nn {

enum class ParameterKind : uint8_t { weight, bias };

// One parameter's shape and its place in the flat buffer, each on a cache-line boundary. A weight
// is (units, inputs) to the outside, as PyTorch's, and lies in the buffer in panels
// (base/panels.hpp). Mostly these are of its transpose, as the forward pass reads it and the weight
// gradient is written: row i holds what input i gives to each unit, and units next to each other
// are one range. Where that would leave many lanes of a vector idle, they are of the weight as it
// is, and only the forward pass has to transpose.
struct Parameter {
  std::string name;  // "0.weight"
  ParameterKind kind;
  int layer;
  int64_t rows;  // a bias has one row
  int64_t cols;
  int64_t offset;      // elements from the start of the buffer
  bool lies_as_it_is;  // a weight, and not its transpose, in panels
  int64_t size() const { return rows * cols; }
};

// A dense layer as the plan sees it; offsets in elements, bias -1 where there is none.
struct LayerView {
  int64_t inputs;
  int64_t units;
  int64_t weight;
  int64_t bias;
  bool lies_as_it_is;  // the weight, see Parameter
};

// A stack of dense layers and its parameters, all in one flat buffer.
template <class T>
class Network {
 public:
  // Checks the description, then draws initial values from the seed.
  Network(std::vector<DenseSpec> layers, int64_t input_size, uint64_t seed);

  const std::vector<DenseSpec>& layers() const { return layers_; }
  const std::vector<LayerView>& views() const { return views_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  int64_t input_size() const { return input_size_; }
  int64_t output_size() const { return layers_.back().units; }
  uint64_t seed() const { return seed_; }
  int64_t num_parameters() const;  // without the gaps

  // Where element i of a parameter, counted row by row in its shape, is in the flat buffer.
  int64_t index(const Parameter& parameter, int64_t i) const {
    if (parameter.kind == ParameterKind::bias) return parameter.offset + i;
    const int64_t row = i / parameter.cols, col = i % parameter.cols;
    return parameter.offset + (parameter.lies_as_it_is
                                   ? base::panel_index(parameter.rows, parameter.cols, row, col)
                                   : base::panel_index(parameter.cols, parameter.rows, col, row));
  }
  // The runs of a flat buffer without gaps.
  ops::Extents extents() const { return extents_; }
  // A buffer laid out like the values, zero.
  base::AlignedBuffer<T> make_flat() const;
  // Between a flat buffer and parameters one after the other, each in its shape, without gaps.
  void to_shapes(const T* flat, T* to) const;
  void from_shapes(const T* from, T* flat) const;
  void from_shape(const Parameter& parameter, const T* from, T* flat) const;

  T* values() { return values_.data(); }
  const T* values() const { return values_.data(); }
  int64_t flat_size() const { return flat_size_; }  // with the gaps

  // Of the values, counted from 1. Whoever changes them tells, and holds what guards the network.
  uint64_t version() const { return version_; }
  void note_change() { ++version_; }

  // The flat gradient buffer, made at the first call; laid out like the values.
  T* gradients();
  // Whether gradients() holds what backward left, and nothing has overwritten it.
  bool gradients_valid() const { return gradients_valid_; }
  void set_gradients_valid(bool valid) { gradients_valid_ = valid; }

 private:
  std::vector<DenseSpec> layers_;
  int64_t input_size_;
  uint64_t seed_;
  std::vector<LayerView> views_;
  std::vector<Parameter> parameters_;
  std::vector<parallel::Range> extents_;
  int64_t flat_size_ = 0;
  base::AlignedBuffer<T> values_;
  base::AlignedBuffer<T> gradients_;
  bool gradients_valid_ = false;
  uint64_t version_ = 1;
};

}  // namespace gd::nn

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/aligned_buffer.hpp"
#include "base/panels.hpp"
#include "nn/gaps.hpp"
#include "nn/graph.hpp"
#include "ops/seen_rows.hpp"

namespace gd::nn {

// Of a parameter that is no layer's.
inline constexpr int kNoNode = -1;

// One parameter's shape and its place in the flat buffer, each on a cache-line boundary. To the
// outside a dense layer's matrix is (units, inputs), as PyTorch's, and a vector (units,).
struct Parameter {
  std::string name;  // "0.weight"
  int node;          // of the graph, or kNoNode
  int64_t rows;      // a vector has one row
  int64_t cols;
  int64_t offset;  // elements from the start of the buffer
  Lies lies;
  int64_t count = 1;           // matrices, one after the other
  std::vector<int64_t> shape;  // to the outside
  int64_t size() const { return count * rows * cols; }
  bool is_matrix() const { return lies != Lies::flat; }
  bool in_panels() const { return lies == Lies::panels || lies == Lies::transposed_panels; }
};

// A graph and its parameters, all in one flat buffer.
template <class T>
class Network {
 public:
  // With initial values drawn from the seed, or else zero.
  Network(Graph graph, uint64_t seed, bool draws = true);

  const Graph& graph() const { return graph_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  // Of a node, by its name within the layer; null where the layer has none of that name.
  const Parameter* parameter(int node, const std::string& name) const;
  // Those of no layer are the last ones.
  std::span<const Parameter> free_parameters() const {
    return std::span(parameters_).last(graph_.free.size());
  }
  // What layers keep beside parameters, in a buffer of its own without gaps.
  const std::vector<Parameter>& kept() const { return kept_; }
  const Parameter* kept(int node, const std::string& name) const;
  T* state() { return state_.data(); }
  const T* state() const { return state_.data(); }
  int64_t state_size() const;
  // Of all inputs together.
  int64_t input_size() const { return input_size_; }
  int64_t output_size() const { return graph_.width(graph_.output); }
  // Of an ensemble, whose output is that of all members side by side; else 1.
  int64_t members() const { return graph_.members(graph_.output); }
  // Columns of what the output is compared with, for each member the same.
  int64_t target_size() const { return graph_.target_size(); }
  uint64_t seed() const { return seed_; }
  int64_t num_parameters() const;  // without the gaps
  // Of those the ones that are not sparse.
  int64_t num_dense_parameters() const { return ops::elements_of(dense_extents_); }

  // Where element i of a parameter, counted row by row in its shape, is in the flat buffer.
  int64_t index(const Parameter& parameter, int64_t i) const {
    if (parameter.lies == Lies::transposed_rows) {
      return parameter.offset + i % parameter.cols * parameter.rows + i / parameter.cols;
    }
    if (!parameter.in_panels()) return parameter.offset + i;
    const int64_t block = i / (parameter.rows * parameter.cols) * parameter.rows * parameter.cols;
    const int64_t row = (i - block) / parameter.cols, col = (i - block) % parameter.cols;
    return parameter.offset + block +
           (parameter.lies == Lies::panels
                ? base::panel_index(parameter.rows, parameter.cols, row, col)
                : base::panel_index(parameter.cols, parameter.rows, col, row));
  }
  // The runs of a flat buffer without gaps.
  ops::Extents extents() const { return extents_; }
  // The same without what is sparse, and of that the rows that gradients() are of; all others of
  // its rows are zero there.
  ops::Extents dense_extents() const { return dense_extents_; }
  const ops::SparseTables& sparse() const { return sparse_; }
  // Those of a parameter; null where it is not sparse.
  ops::SeenRows* seen_rows(const Parameter& parameter) const;
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
  void place_parameters();
  void place(const std::string& name, int node, const EntrySpec& entry);
  void draw();
  void draw(const EntrySpec& entry, size_t parameter, const std::vector<double>& before,
            std::vector<T>& room);

  Graph graph_;
  int64_t input_size_;
  uint64_t seed_;
  std::vector<Parameter> parameters_;
  std::vector<Parameter> kept_;
  base::AlignedBuffer<T> state_;
  std::vector<parallel::Range> extents_;
  std::vector<parallel::Range> dense_extents_;
  ops::SparseTables sparse_;
  int64_t flat_size_ = 0;
  base::AlignedBuffer<T> values_;
  base::AlignedBuffer<T> gradients_;
  bool gradients_valid_ = false;
  uint64_t version_ = 1;
};

}  // namespace gd::nn

#include "nn/network.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include "base/check.hpp"
#include "base/philox.hpp"
#include "nn/initializers.hpp"

namespace gd::nn {

namespace {

// to (cols, rows) = the transpose of from (rows, cols), in squares that stay in cache. Rows of both
// lie from_row and to_row apart.
template <class T>
void transpose(const T* from, int64_t from_row, int64_t rows, int64_t cols, T* to, int64_t to_row) {
  constexpr int64_t kSquare = 32;
  for (int64_t i0 = 0; i0 < rows; i0 += kSquare) {
    for (int64_t j0 = 0; j0 < cols; j0 += kSquare) {
      for (int64_t i = i0; i < std::min(i0 + kSquare, rows); ++i) {
        for (int64_t j = j0; j < std::min(j0 + kSquare, cols); ++j) {
          to[j * to_row + i] = from[i * from_row + j];
        }
      }
    }
  }
}

// to (rows, cols) = from.
template <class T>
void copy(const T* from, int64_t from_row, int64_t rows, int64_t cols, T* to, int64_t to_row) {
  for (int64_t i = 0; i < rows; ++i) std::copy_n(from + i * from_row, cols, to + i * to_row);
}

// Calls f(first, how many) for the units, or inputs, of each panel of a weight.
template <class F>
void for_panels(const Parameter& weight, F&& f) {
  const int64_t all = weight.lies_as_it_is ? weight.cols : weight.rows;
  for (int64_t first = 0; first < all; first += base::kPanel) {
    f(first, base::panel_width(all, first));
  }
}

// Whether a panel of a few units wastes more of a vector than one of inputs. The first layer has no
// gradient at its input that would gain what the forward pass loses.
bool lies_as_it_is(size_t layer, int64_t units, int64_t inputs) {
  constexpr int64_t kVector = 16;
  const auto filled_up = [](int64_t n) { return (n + kVector - 1) / kVector * kVector; };
  return layer > 0 && filled_up(units) * inputs >= units * filled_up(inputs) * 5 / 4;
}

}  // namespace

template <class T>
Network<T>::Network(std::vector<DenseSpec> layers, int64_t input_size, uint64_t seed)
    : layers_(std::move(layers)), input_size_(input_size), seed_(seed) {
  check_layers<T>(layers_, input_size_);
  int64_t offset = 0;
  int64_t inputs = input_size_;
  const auto place = [&](const std::string& name, ParameterKind kind, int64_t rows, int64_t cols,
                         bool as_it_is = false) {
    const int layer = static_cast<int>(views_.size());
    const int64_t at = offset;
    parameters_.push_back(
        {layers_[views_.size()].name + name, kind, layer, rows, cols, at, as_it_is});
    base::require<base::ValueError>(
        !__builtin_add_overflow(offset, base::padded<T>(rows * cols), &offset),
        "the parameters of the network do not fit into memory");
    if (extents_.empty() || extents_.back().end != at) extents_.push_back({at, at});
    extents_.back().end = at + rows * cols;
    return at;
  };
  for (const DenseSpec& layer : layers_) {
    const bool as_it_is = lies_as_it_is(views_.size(), layer.units, inputs);
    LayerView view{inputs, layer.units, 0, -1, as_it_is};
    view.weight = place(".weight", ParameterKind::weight, layer.units, inputs, as_it_is);
    if (layer.bias) view.bias = place(".bias", ParameterKind::bias, 1, layer.units);
    views_.push_back(view);
    inputs = layer.units;
  }

  flat_size_ = offset;
  values_ = make_flat();
  const auto largest = std::ranges::max_element(
      parameters_, {}, [](const Parameter& parameter) { return parameter.size(); });
  std::vector<T> drawn(static_cast<size_t>(largest->size()));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = parameters_[i];
    const DenseSpec& layer = layers_[static_cast<size_t>(parameter.layer)];
    const LayerView& view = views_[static_cast<size_t>(parameter.layer)];
    // A stream of its own for each, so that a layer's values do not hang on the others' sizes.
    base::RandomStream random(base::StreamPurpose::initial_values, seed_, i);
    const bool is_weight = parameter.kind == ParameterKind::weight;
    const std::span<T> own(drawn.data(), static_cast<size_t>(parameter.size()));
    initialize<T>(is_weight ? layer.weight_init : layer.bias_init, view.inputs, view.units, random,
                  own);
    from_shape(parameter, own.data(), values());
  }
}

template <class T>
base::AlignedBuffer<T> Network<T>::make_flat() const {
  base::AlignedBuffer<T> flat(flat_size_);
  fill_gaps(extents(), flat_size_, flat.data());
  return flat;
}

template <class T>
int64_t Network<T>::num_parameters() const {
  int64_t total = 0;
  for (const Parameter& parameter : parameters_) total += parameter.size();
  return total;
}

template <class T>
void Network<T>::to_shapes(const T* flat, T* to) const {
  for (const Parameter& p : parameters_) {
    if (p.kind == ParameterKind::weight) {
      for_panels(p, [&](int64_t first, int64_t width) {
        if (p.lies_as_it_is) {
          copy(flat + p.offset + first * p.rows, width, p.rows, width, to + first, p.cols);
        } else {
          const T* const panel = flat + p.offset + first * p.cols;
          transpose(panel, width, p.cols, width, to + first * p.cols, p.cols);
        }
      });
    } else {
      std::copy_n(flat + p.offset, p.size(), to);
    }
    to += p.size();
  }
}

template <class T>
void Network<T>::from_shapes(const T* from, T* flat) const {
  for (const Parameter& p : parameters_) {
    from_shape(p, from, flat);
    from += p.size();
  }
}

template <class T>
void Network<T>::from_shape(const Parameter& p, const T* from, T* flat) const {
  if (p.kind != ParameterKind::weight) {
    std::copy_n(from, p.size(), flat + p.offset);
    return;
  }
  for_panels(p, [&](int64_t first, int64_t width) {
    if (p.lies_as_it_is) {
      copy(from + first, p.cols, p.rows, width, flat + p.offset + first * p.rows, width);
    } else {
      T* const panel = flat + p.offset + first * p.cols;
      transpose(from + first * p.cols, p.cols, width, p.cols, panel, width);
    }
  });
}

template <class T>
T* Network<T>::gradients() {
  if (gradients_.size() == 0) gradients_ = make_flat();
  return gradients_.data();
}

template class Network<float>;
template class Network<double>;

}  // namespace gd::nn

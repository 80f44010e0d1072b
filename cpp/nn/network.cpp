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
  const int64_t all = weight.lies == Lies::panels ? weight.cols : weight.rows;
  for (int64_t first = 0; first < all; first += base::kPanel) {
    f(first, base::panel_width(all, first));
  }
}

void append(std::vector<parallel::Range>& extents, int64_t at, int64_t size) {
  if (extents.empty() || extents.back().end != at) extents.push_back({at, at});
  extents.back().end = at + size;
}

ops::SeenRows seen_rows_of(const Parameter& p) {
  if (p.lies == Lies::rows) return {p.offset, p.rows, p.cols, p.cols};
  base::require<base::StateError>(p.lies == Lies::transposed_rows, "'", p.name,
                                  "' does not lie as what is sparse has to");
  return {p.offset, p.cols, p.rows, p.rows};
}

const Parameter* find(const std::vector<Parameter>& all, int node, const std::string& key) {
  for (const Parameter& parameter : all) {
    if (parameter.node == node && parameter.name == key) return &parameter;
  }
  return nullptr;
}

}  // namespace

template <class T>
Network<T>::Network(Graph graph, uint64_t seed, bool draws)
    : graph_(std::move(graph)), input_size_(graph_.input_size()), seed_(seed) {
  place_parameters();
  values_ = make_flat();
  if (draws) draw();
}

template <class T>
void Network<T>::place_parameters() {
  int node = graph_.first_layer();
  for (const Node& layer : graph_.nodes) {
    for (const EntrySpec& entry : layer.entries) {
      const std::string name = layer.spec.name + '.' + entry.name;
      if (entry.role == Role::state) {
        kept_.push_back({name, node, entry.rows, entry.cols, state_size(), entry.lies, entry.count,
                         entry.outer_shape()});
      } else {
        place(name, node, entry);
      }
    }
    ++node;
  }
  for (const EntrySpec& entry : graph_.free) place(entry.name, kNoNode, entry);
  state_ = base::AlignedBuffer<T>(state_size());
}

template <class T>
void Network<T>::place(const std::string& name, int node, const EntrySpec& entry) {
  const int64_t size = entry.size();
  const int64_t at = flat_size_;
  parameters_.push_back(
      {name, node, entry.rows, entry.cols, at, entry.lies, entry.count, entry.outer_shape()});
  base::require<base::ValueError>(
      !__builtin_add_overflow(flat_size_, base::padded<T>(size), &flat_size_),
      "the parameters of the network do not fit into memory");
  append(extents_, at, size);
  if (entry.sparse) {
    sparse_.push_back(std::make_unique<ops::SeenRows>(seen_rows_of(parameters_.back())));
  } else {
    append(dense_extents_, at, size);
  }
}

template <class T>
void Network<T>::draw() {
  int64_t largest = 0;
  for (const Parameter& parameter : parameters_) largest = std::max(largest, parameter.size());
  std::vector<T> drawn(static_cast<size_t>(largest));
  size_t i = 0;
  size_t k = 0;
  std::vector<double> before, made;
  for (const Node& layer : graph_.nodes) {
    for (const EntrySpec& entry : layer.entries) {
      if (entry.role == Role::state) {
        T* const own = state() + kept_[k].offset;
        std::fill_n(own, kept_[k++].size(), static_cast<T>(entry.constant));
        if (!entry.start) continue;
        base::RandomStream none(base::StreamPurpose::initial_values, seed_);
        made.resize(static_cast<size_t>(entry.size()));
        entry.start(none, {}, made);
        std::ranges::transform(made, own, [](double value) { return static_cast<T>(value); });
        continue;
      }
      draw(entry, i++, before, drawn);
      // Kept only where the next one asks: it takes twice a parameter's memory.
      const bool is_last = &entry == &layer.entries.back();
      if (!is_last && (&entry + 1)->start) {
        const auto own = static_cast<std::ptrdiff_t>(entry.size());
        before.assign(drawn.begin(), drawn.begin() + own);
      }
    }
  }
  for (const EntrySpec& entry : graph_.free) draw(entry, i++, before, drawn);
}

template <class T>
void Network<T>::draw(const EntrySpec& entry, size_t parameter, const std::vector<double>& before,
                      std::vector<T>& room) {
  // A stream of its own for each, so that a layer's values do not hang on the others' sizes.
  base::RandomStream random(base::StreamPurpose::initial_values, seed_, parameter);
  const std::span<T> own(room.data(), static_cast<size_t>(parameters_[parameter].size()));
  if (entry.start) {
    std::vector<double> made(own.size());
    entry.start(random, before, made);
    std::ranges::transform(made, own.begin(), [](double x) { return static_cast<T>(x); });
  } else if (entry.initializer.empty()) {
    std::ranges::fill(own, static_cast<T>(entry.constant));
  } else {
    initialize<T>(entry.initializer, entry.fan_in, entry.fan_out, random, own, entry.gain);
  }
  from_shape(parameters_[parameter], own.data(), values());
}

template <class T>
const Parameter* Network<T>::parameter(int node, const std::string& name) const {
  return find(parameters_, node, graph_.layer(node).spec.name + '.' + name);
}

template <class T>
const Parameter* Network<T>::kept(int node, const std::string& name) const {
  return find(kept_, node, graph_.layer(node).spec.name + '.' + name);
}

template <class T>
ops::SeenRows* Network<T>::seen_rows(const Parameter& parameter) const {
  for (const auto& seen : sparse_) {
    if (seen->offset() == parameter.offset) return seen.get();
  }
  return nullptr;
}

template <class T>
int64_t Network<T>::state_size() const {
  return kept_.empty() ? 0 : kept_.back().offset + kept_.back().size();
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
    if (p.lies == Lies::transposed_rows) {
      transpose(flat + p.offset, p.rows, p.cols, p.rows, to, p.cols);
      to += p.size();
      continue;
    }
    if (!p.in_panels()) {
      std::copy_n(flat + p.offset, p.size(), to);
      to += p.size();
      continue;
    }
    for (int64_t block = 0; block < p.size(); block += p.rows * p.cols, to += p.rows * p.cols) {
      const T* const own = flat + p.offset + block;
      for_panels(p, [&](int64_t first, int64_t width) {
        if (p.lies == Lies::panels) {
          copy(own + first * p.rows, width, p.rows, width, to + first, p.cols);
        } else {
          transpose(own + first * p.cols, width, p.cols, width, to + first * p.cols, p.cols);
        }
      });
    }
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
  if (p.lies == Lies::transposed_rows) {
    return transpose(from, p.cols, p.rows, p.cols, flat + p.offset, p.rows);
  }
  if (!p.in_panels()) {
    std::copy_n(from, p.size(), flat + p.offset);
    return;
  }
  for (int64_t block = 0; block < p.size(); block += p.rows * p.cols, from += p.rows * p.cols) {
    T* const own = flat + p.offset + block;
    for_panels(p, [&](int64_t first, int64_t width) {
      if (p.lies == Lies::panels) {
        copy(from + first, p.cols, p.rows, width, own + first * p.rows, width);
      } else {
        transpose(from + first * p.cols, p.cols, width, p.cols, own + first * p.cols, width);
      }
    });
  }
}

template <class T>
T* Network<T>::gradients() {
  if (gradients_.size() == 0) gradients_ = make_flat();
  return gradients_.data();
}

template class Network<float>;
template class Network<double>;

}  // namespace gd::nn

#pragma once

// Matmuls with all that can be asked of them, and what each must give by definition.

#include <cmath>
#include <string>

#include "base/aligned_buffer.hpp"
#include "base/panels.hpp"
#include "cpp/ops/support.hpp"
#include "ops/formulas.hpp"
#include "ops/gemm.hpp"

namespace gd::testing {

struct ProductShape {
  int64_t m = 1;
  int64_t n = 1;
  int64_t k = 1;
  bool transpose_a = false;
  bool transpose_b = false;
  int64_t gap = 0;  // between rows of every operand
  int64_t part = 0;
  bool accumulate = false;
  bool bias = false;
  const char* activation = "";  // of the epilogue
  bool backward = false;
  bool in_place = false;  // a forward epilogue writes over C
  bool b_panels = false;  // B, or with transpose_b what it is the transpose of, lies in panels
  bool c_panels = false;
  bool consumed = false;  // pieces of C are handed over as they are finished

  std::string name() const {
    return text(m, "x", n, "x", k, transpose_a ? " A^T" : "", transpose_b ? " B^T" : "", " gap ",
                gap, " part ", part, accumulate ? " accumulate" : "", bias ? " bias " : " ",
                activation, backward ? " backward" : "", in_place ? " in place" : "",
                b_panels ? " B in panels" : "", c_panels ? " C in panels" : "",
                consumed ? " consumed" : "");
  }
};

template <class T>
class Product {
 public:
  explicit Product(const ProductShape& shape)
      : shape_(shape),
        a_(operand(shape.m, shape.k, shape.transpose_a, 1)),
        b_(operand(shape.k, shape.n, shape.transpose_b, 2)),
        c_before_(somewhere(shape.m * c_stride(), 3)),
        bias_(somewhere(shape.n, 4)),
        saved_(somewhere(shape.m * c_stride(), 5)) {}

  // C and, for a forward epilogue not in place, the output behind it; gaps included.
  std::vector<T> run(int workers, const ops::GemmTiles* tiles = nullptr) const {
    std::vector<T> c = c_before_;
    std::vector<T> output(c.size(), T(7));
    const std::vector<T> panels = in_panels(b_, shape_.transpose_b ? shape_.n : shape_.k,
                                            shape_.transpose_b ? shape_.k : shape_.n);
    if (shape_.c_panels) c = in_panels(c, shape_.m, shape_.n);
    ops::GemmProblem<T> p = problem(c.data(), shape_.in_place ? c.data() : output.data());
    if (shape_.c_panels) p.c_layout = ops::Layout::panels;
    if (shape_.b_panels) {
      p.b = panels.data();
      p.b_layout = shape_.transpose_b ? ops::Layout::panels_transposed : ops::Layout::panels;
    }
    std::vector<T> pieces(c.size());
    const auto keep = [&](int64_t begin, std::span<const T> piece) {
      std::copy(piece.begin(), piece.end(), pieces.begin() + begin);
    };
    const base::FunctionRef<void(int64_t, std::span<const T>)> consume = keep;
    if (shape_.consumed) p.consume = &consume;
    const ops::GemmScratchSize scratch_size = ops::gemm_scratch_size<T>(p.m, p.n, p.k);
    base::AlignedBuffer<T> scratch(workers * scratch_size.all());
    const ops::GemmTiles chosen =
        tiles == nullptr ? ops::gemm_tiles<T>(p.m, p.n, p.k, workers, !shape_.b_panels) : *tiles;
    on_team(workers, [&](ops::Worker& worker, ops::TileQueue& queue) {
      ops::gemm(worker, queue, chosen, p, {scratch.data(), scratch_size});
    });
    if (shape_.consumed) c = pieces;
    if (shape_.c_panels) c = from_panels(c);
    c.insert(c.end(), output.begin(), output.end());
    return c;
  }

  // The same by the definition in ops/gemm.hpp.
  std::vector<T> expected() const {
    const ops::KernelScope scope;
    std::vector<T> c = c_before_;
    std::vector<T> output(c.size(), T(7));
    for (int64_t i = 0; i < shape_.m; ++i) {
      for (int64_t j = 0; j < shape_.n; ++j) element(c[at(i, j)], i, j);
    }
    if (shape_.activation[0] != '\0') {
      const auto& activation = ops::find_activation<T>(shape_.activation);
      if (shape_.backward) {
        activation.backward(shape_.m, shape_.n, saved_.data(), c_stride(), c.data(), c_stride(),
                            kParameters);
      } else {
        T* const to = shape_.in_place ? c.data() : output.data();
        activation.forward(shape_.m, shape_.n, c.data(), c_stride(), to, c_stride(), kParameters);
      }
    }
    c.insert(c.end(), output.begin(), output.end());
    return c;
  }

 private:
  static constexpr T kParameters[] = {T(0.5), T(0.5)};

  // A (rows, cols) matrix without gaps.
  std::vector<T> in_panels(const std::vector<T>& matrix, int64_t rows, int64_t cols) const {
    std::vector<T> panels(matrix.size());
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        const auto at = static_cast<size_t>(base::panel_index(rows, cols, i, j));
        panels[at] = matrix[static_cast<size_t>(i * (cols + shape_.gap) + j)];
      }
    }
    return panels;
  }

  std::vector<T> from_panels(const std::vector<T>& panels) const {
    std::vector<T> c = c_before_;
    for (int64_t i = 0; i < shape_.m; ++i) {
      for (int64_t j = 0; j < shape_.n; ++j) {
        c[at(i, j)] = panels[static_cast<size_t>(base::panel_index(shape_.m, shape_.n, i, j))];
      }
    }
    return c;
  }

  int64_t c_stride() const { return shape_.n + shape_.gap; }
  size_t at(int64_t i, int64_t j) const { return static_cast<size_t>(i * c_stride() + j); }

  // Nothing has an address too: an offset to none is no pointer.
  static std::vector<T> somewhere(int64_t size, uint64_t seed) {
    return normals<T>(std::max<int64_t>(1, size), seed);
  }

  std::vector<T> operand(int64_t rows, int64_t cols, bool transposed, uint64_t seed) const {
    return somewhere((transposed ? cols : rows) * ((transposed ? rows : cols) + shape_.gap), seed);
  }

  ops::GemmProblem<T> problem(T* c, T* output) const {
    ops::GemmProblem<T> p;
    p.m = shape_.m;
    p.n = shape_.n;
    p.k = shape_.k;
    p.a = a_.data();
    p.a_row = shape_.transpose_a ? 1 : shape_.k + shape_.gap;
    p.a_col = shape_.transpose_a ? shape_.m + shape_.gap : 1;
    p.b = b_.data();
    p.b_row = shape_.transpose_b ? 1 : shape_.n + shape_.gap;
    p.b_col = shape_.transpose_b ? shape_.k + shape_.gap : 1;
    p.c = c;
    p.c_row = c_stride();
    p.bias = shape_.bias ? bias_.data() : nullptr;
    p.part = shape_.part;
    p.accumulate = shape_.accumulate;
    if (shape_.activation[0] != '\0') {
      using Kind = typename ops::Epilogue<T>::Kind;
      p.epilogue.kind = shape_.backward ? Kind::backward : Kind::forward;
      p.epilogue.activation = &ops::find_activation<T>(shape_.activation);
      p.epilogue.parameters = kParameters;
      p.epilogue.output = output;
      p.epilogue.saved = saved_.data();
      p.epilogue.stride = c_stride();
    }
    return p;
  }

  void element(T& c, int64_t i, int64_t j) const {
    const ops::GemmProblem<T> p = problem(nullptr, nullptr);
    const int64_t part = p.part > 0 ? p.part : p.k > ops::kLongestChain ? ops::kLongPart : p.k;
    T sum = p.accumulate ? c : T(0);  // of the present kLongSum products; before them: c
    bool first = !p.accumulate;
    for (int64_t k0 = 0; k0 < p.k; k0 += part) {
      T chain = 0;
      for (int64_t k = k0; k < std::min(k0 + part, p.k); ++k) {
        chain = std::fma(p.a[i * p.a_row + k * p.a_col], p.b[k * p.b_row + j * p.b_col], chain);
      }
      const int64_t in_sum = k0 % ops::kLongSum;
      const bool in_last = k0 - in_sum + ops::kLongSum >= p.k;
      if (in_sum == 0 && k0 > 0) {
        c = k0 == ops::kLongSum ? sum : c + sum;
        if (in_last) sum = c;
        first = !in_last;
      }
      sum = first ? chain : sum + chain;
      first = false;
    }
    c = sum;
    if (p.bias != nullptr) c += p.bias[j];
  }

  ProductShape shape_;
  std::vector<T> a_, b_, c_before_, bias_, saved_;
};

}  // namespace gd::testing

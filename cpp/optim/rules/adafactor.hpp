#pragma once

#include <limits>

#include "optim/matrix_rule.hpp"

namespace gd::optim::rules {

// r += b (mean over columns of g^2 - r),  c += b (mean over rows of g^2 - c),  b = t^beta2_decay
// V = r c^T / max(mean of r, eps1); of vectors V += b (g^2 - V)
// u = g / sqrt(max(V, eps1^2)),  a = max(eps2, rms of w) min(lr, 1 / sqrt(t))
// w -= lr weight_decay w + a u / max(1, rms of u / d)
// An eps1 below 0 is T's own. In the form of PyTorch's; Shazeer, Stern: "Adafactor: adaptive
// learning rates with sublinear memory cost", arXiv:1804.04235.
struct adafactor {
  static constexpr const char* name = "adafactor";
  static constexpr const char* parameters = "lr,beta2_decay,eps1,eps2,d,weight_decay";
  enum { kLr, kBeta2Decay, kEps1, kEps2, kD, kWeightDecay };
  static int states(const StepSetting&) { return 0; }

  static int64_t statistics(const MatrixItem& item, const StepSetting&) {
    return item.is_matrix ? item.rows + item.cols : item.size();
  }
  static int64_t scratch(const MatrixItem& item, const StepSetting&) {
    return item.size() + 2 * item.rows;
  }
  template <class T>
  static ops::GemmScratchSize packing(const MatrixItem&, const StepSetting&) {
    return {};
  }
  static int64_t flops(const MatrixItem& item, const StepSetting&) { return 16 * item.size(); }

  template <class T>
  static void update(MatrixTeam<T>& team, const MatrixItem& item, const StepSetting& s,
                     const SpanPlace<T>& place, T* kept) {
    const int64_t rows = item.rows, cols = item.cols;
    const auto size = static_cast<double>(item.size());
    const auto t = static_cast<double>(s.step);
    const double own = static_cast<double>(std::numeric_limits<T>::epsilon());
    const double eps = s[kEps1] < 0 ? own : s[kEps1];
    const T take = static_cast<T>(base::raise(t, s[kBeta2Decay]));
    T* const w = place.weights;
    T* const g = team.scratch;
    T* const sums = g + item.size();
    T* const squares = sums + rows;
    team.for_rows(rows, [&](int64_t i) {
      T* const row = g + i * cols;
      double own_squares = 0;
      item.for_elements(i, [&](int64_t at, int64_t j) {
        row[j] = static_cast<T>(s.sign) * place.gradients[at];
        own_squares += static_cast<double>(w[at]) * static_cast<double>(w[at]);
      });
      squares[i] = static_cast<T>(own_squares);
      sums[i] = ops::sum_squares<T>({row, static_cast<size_t>(cols)});
    });
    const double rms = __builtin_sqrt(sum_of(squares, rows) / size);
    const double step = std::max(s[kEps2], rms) * std::min(s.lr, 1 / __builtin_sqrt(t));
    const T least = static_cast<T>(eps * eps);
    T* const r = kept;
    T* const c = kept + rows;
    double mean = 1;
    if (item.is_matrix) {
      team.for_some(cols, [&](int64_t begin, int64_t end) {
        double column[MatrixTeam<T>::kAtOnce] = {};
        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = begin; j < end; ++j) {
            const auto value = static_cast<double>(g[i * cols + j]);
            column[j - begin] += value * value;
          }
        }
        for (int64_t j = begin; j < end; ++j) {
          c[j] += take * (static_cast<T>(column[j - begin] / static_cast<double>(rows)) - c[j]);
        }
      });
      team.once([&] {
        for (int64_t i = 0; i < rows; ++i) r[i] += take * (sums[i] / static_cast<T>(cols) - r[i]);
      });
      mean = std::max(sum_of(r, rows) / static_cast<double>(rows), eps);
    }
    team.for_rows(rows, [&](int64_t i) {
      T* const row = g + i * cols;
      const T factor = item.is_matrix ? static_cast<T>(static_cast<double>(r[i]) / mean) : 1;
      for (int64_t j = 0; j < cols; ++j) {
        T& v = item.is_matrix ? c[j] : kept[i * cols + j];
        if (!item.is_matrix) v += take * (row[j] * row[j] - v);
        row[j] /= std::sqrt(std::max(factor * v, least));
      }
      sums[i] = ops::sum_squares<T>({row, static_cast<size_t>(cols)});
    });
    const double moves = __builtin_sqrt(sum_of(sums, rows) / size) / s[kD];
    const T rate = static_cast<T>(step / std::max(1.0, moves));
    const T shrink = static_cast<T>(1 - s.lr * s[kWeightDecay]);
    team.for_rows(rows, [&](int64_t i) {
      const T* const row = g + i * cols;
      item.for_elements(i, [&](int64_t at, int64_t j) { w[at] = shrink * w[at] - rate * row[j]; });
    });
  }

  template <class T>
  using rule = MatrixRule<T, adafactor>;
};

}  // namespace gd::optim::rules

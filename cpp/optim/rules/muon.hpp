#pragma once

#include "optim/matrix_rule.hpp"

namespace gd::optim::rules {

// Of matrices: m += (1 - momentum) (g - m),  u = m, with nesterov g + momentum (m - g)
// X = u / max(|u|, eps), then ns_steps times X <- (a I + b A + c A^2) X, A = X X^T (where X has
// more rows than columns, with X^T) w -= lr weight_decay w + lr f X,  f = sqrt(max(1, rows /
// cols)), or 0.2 sqrt(max(rows, cols)) Of vectors, and without `orthogonal` of matrices too: AdamW,
// at lr adamw_lr_factor. Jordan et al.: "Muon: an optimizer for hidden layers in neural networks",
// 2024.
struct muon {
  static constexpr const char* name = "muon";
  static constexpr const char* parameters =
      "lr,weight_decay,momentum,nesterov,ns_coefficient1,ns_coefficient2,ns_coefficient3,eps,"
      "ns_steps,adjust_lr_fn,orthogonal,adamw_lr_factor,adamw_beta1,adamw_beta2,adamw_eps,"
      "adamw_weight_decay";
  enum {
    kLr,
    kWeightDecay,
    kMomentum,
    kNesterov,
    kA,
    kB,
    kC,
    kEps,
    kNsSteps,
    kAdjust,
    kOrthogonal,
    kFactor,
    kBeta1,
    kBeta2,
    kAdamEps,
    kAdamDecay
  };
  static int states(const StepSetting&) { return 1; }

  static bool orthogonal(const MatrixItem& item, const StepSetting& s) {
    return item.is_matrix && s[kOrthogonal] != 0;
  }
  // Adam's second moment.
  static int64_t statistics(const MatrixItem& item, const StepSetting& s) {
    return orthogonal(item, s) ? 0 : item.size();
  }
  static int64_t least(const MatrixItem& item) { return std::min(item.rows, item.cols); }
  static int64_t scratch(const MatrixItem& item, const StepSetting& s) {
    const int64_t r = least(item);
    return orthogonal(item, s) ? 2 * item.size() + 2 * r * r + item.rows : 0;
  }
  template <class T>
  static ops::GemmScratchSize packing(const MatrixItem& item, const StepSetting& s) {
    ops::GemmScratchSize size;
    if (!orthogonal(item, s)) return size;
    const int64_t r = least(item);
    size.cover(ops::gemm_scratch_size<T>(r, r, std::max(item.rows, item.cols)));
    size.cover(ops::gemm_scratch_size<T>(item.rows, item.cols, r));
    return size;
  }
  static int64_t flops(const MatrixItem& item, const StepSetting& s) {
    const int64_t r = least(item);
    const auto steps = static_cast<int64_t>(s[kNsSteps]);
    return orthogonal(item, s) ? steps * 2 * r * (2 * item.size() + r * r) : 0;
  }

  template <class T>
  static void update(MatrixTeam<T>& team, const MatrixItem& item, const StepSetting& s,
                     const SpanPlace<T>& place, T* second) {
    T* const w = place.weights;
    T* const m = place.states[0];
    if (!orthogonal(item, s)) {
      const AdamStep<T> adam(s.lr * s[kFactor], s[kBeta1], s[kBeta2], s[kAdamEps], s[kAdamDecay],
                             s);
      return team.for_rows(item.rows, [&](int64_t i) {
        T* const v = second + i * item.cols;
        item.for_elements(
            i, [&](int64_t at, int64_t j) { adam(w[at], place.gradients[at], m[at], v[j]); });
      });
    }
    const int64_t cols = item.cols;
    T* x = team.scratch;
    T* const sums = x + 2 * item.size() + 2 * least(item) * least(item);
    const T keep = static_cast<T>(s[kMomentum]), take = static_cast<T>(1 - s[kMomentum]);
    const T sign = static_cast<T>(s.sign);
    team.for_rows(item.rows, [&](int64_t i) {
      T* const row = x + i * cols;
      item.for_elements(i, [&](int64_t at, int64_t j) {
        const T g = sign * place.gradients[at];
        m[at] += take * (g - m[at]);
        row[j] = s[kNesterov] != 0 ? g + keep * (m[at] - g) : m[at];
      });
      sums[i] = ops::sum_squares<T>({row, static_cast<size_t>(cols)});
    });
    const double length = std::max(__builtin_sqrt(sum_of(sums, item.rows)), s[kEps]);
    const T scale = static_cast<T>(1 / length);
    team.for_rows(item.rows, [&](int64_t i) {
      for (int64_t j = 0; j < cols; ++j) x[i * cols + j] *= scale;
    });
    x = iterate(team, item, s);
    const double longer = static_cast<double>(std::max(item.rows, cols));
    const double ratio = static_cast<double>(item.rows) / static_cast<double>(cols);
    const double f =
        s[kAdjust] != 0 ? 0.2 * __builtin_sqrt(longer) : __builtin_sqrt(std::max(1.0, ratio));
    const T rate = static_cast<T>(s.lr * f), shrink = static_cast<T>(1 - s.lr * s[kWeightDecay]);
    team.for_rows(item.rows, [&](int64_t i) {
      const T* const row = x + i * cols;
      item.for_elements(i, [&](int64_t at, int64_t j) { w[at] = shrink * w[at] - rate * row[j]; });
    });
  }

  // Newton and Schulz' on what the scratch memory begins with; returns where it ends.
  template <class T>
  static T* iterate(MatrixTeam<T>& team, const MatrixItem& item, const StepSetting& s) {
    const int64_t rows = item.rows, cols = item.cols, r = least(item);
    T* x = team.scratch;
    T* next = x + item.size();
    T* const gram = next + item.size();
    T* const p = gram + r * r;
    const T a = static_cast<T>(s[kA]), b = static_cast<T>(s[kB]), c = static_cast<T>(s[kC]);
    const bool tall = rows > cols;
    for (int step = 0; step < static_cast<int>(s[kNsSteps]); ++step) {
      team.multiply(r, r, std::max(rows, cols), {x, tall}, {x, !tall}, gram);
      team.multiply(r, r, r, {gram}, {gram}, p);
      team.for_rows(r, [&](int64_t i) {
        for (int64_t j = 0; j < r; ++j) p[i * r + j] = c * p[i * r + j] + b * gram[i * r + j];
        p[i * r + i] += a;
      });
      if (tall) {
        team.multiply(rows, cols, r, {x}, {p}, next);
      } else {
        team.multiply(rows, cols, r, {p}, {x}, next);
      }
      std::swap(x, next);
    }
    return x;
  }

  template <class T>
  using rule = MatrixRule<T, muon>;
};

}  // namespace gd::optim::rules

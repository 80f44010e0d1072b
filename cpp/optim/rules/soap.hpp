#pragma once

#include "optim/eigen.hpp"
#include "optim/matrix_rule.hpp"

namespace gd::optim::rules {

// From the second step on, t counted from there, with the bases Q_L, Q_R:
// m += (1 - beta1) (g - m),  v += (1 - beta2) ((Q_L^T g Q_R)^2 - v)
// u = Q_L (Q_L^T m Q_R / (sqrt(v) + eps)) Q_R^T
// w = (1 - lr weight_decay) (w - lr sqrt(1 - beta2^t) / (1 - beta1^t) u)
// and after every step L += (1 - beta) (g g^T - L), R += (1 - beta) (g^T g - R); the bases are
// their eigenvectors after the first step, and take a step of the power method with QR each
// precondition_frequency steps. A shampoo_beta below 0 is beta2.
// Vyas et al.: "SOAP: improving and stabilizing Shampoo using Adam", arXiv:2409.11321.
struct soap {
  static constexpr const char* name = "soap";
  static constexpr const char* parameters =
      "lr,beta1,beta2,shampoo_beta,weight_decay,precondition_frequency,max_precondition_dim,"
      "precondition_1d,correct_bias,normalize_gradient,eps";
  enum {
    kLr,
    kBeta1,
    kBeta2,
    kShampooBeta,
    kWeightDecay,
    kFrequency,
    kMostDim,
    kOneD,
    kCorrects,
    kNormalizes,
    kEps
  };
  static int states(const StepSetting&) { return 1; }

  // What one side of a matrix has: its length, or 0 where it has no basis.
  static int64_t left(const MatrixItem& item, const StepSetting& s) {
    const bool has = item.is_matrix && static_cast<double>(item.rows) <= s[kMostDim];
    return has ? item.rows : 0;
  }
  static int64_t right(const MatrixItem& item, const StepSetting& s) {
    const bool may = item.is_matrix || s[kOneD] != 0;
    return may && static_cast<double>(item.cols) <= s[kMostDim] ? item.cols : 0;
  }
  static int64_t statistics(const MatrixItem& item, const StepSetting& s) {
    const int64_t l = left(item, s), r = right(item, s);
    return item.size() + 2 * l * l + 2 * r * r;
  }
  static int64_t scratch(const MatrixItem& item, const StepSetting& s) {
    const int64_t l = left(item, s), r = right(item, s);
    return 4 * item.size() + l * l + r * r + item.rows;
  }
  // Of one side, while its basis is made.
  static int64_t doubles(const MatrixItem& item, const StepSetting& s) {
    const auto of = [](int64_t n) { return n * n + 4 * n; };
    return of(left(item, s)) + of(right(item, s));
  }
  template <class T>
  static ops::GemmScratchSize packing(const MatrixItem& item, const StepSetting& s) {
    ops::GemmScratchSize size;
    const int64_t l = left(item, s), r = right(item, s);
    if (l > 0) size.cover(ops::gemm_scratch_size<T>(item.rows, item.cols, l));
    if (r > 0) size.cover(ops::gemm_scratch_size<T>(item.rows, item.cols, r));
    for (const auto& [n, k] : {std::pair{l, item.cols}, {r, item.rows}}) {
      if (n > 0) size.cover(ops::gemm_scratch_size<T>(n, n, std::max(n, k)));
    }
    return size;
  }
  static int64_t flops(const MatrixItem& item, const StepSetting& s) {
    const int64_t l = left(item, s), r = right(item, s);
    const auto basis = (l * l * l + r * r * r) * 6 / static_cast<int64_t>(s[kFrequency]);
    return 8 * item.size() * (l + r) + basis;
  }

  // A side: its length, what its basis is of, the basis, and room; see doubles.
  template <class T>
  struct Side {
    int64_t n;
    T* gram;
    T* basis;
    T* product;
    double* work;
    double* order() const { return work + n * n; }

    // Largest first.
    void sort(const double* values) const {
      double* const o = order();
      for (int64_t i = 0; i < n; ++i) o[i] = static_cast<double>(i);
      std::sort(o, o + n, [&](double a, double b) {
        const double of_a = values[static_cast<int64_t>(a)];
        const double of_b = values[static_cast<int64_t>(b)];
        return of_a > of_b || (of_a == of_b && a < b);
      });
    }
    int64_t at(int64_t j) const { return static_cast<int64_t>(order()[j]); }

    void begin() const {
      for (int64_t i = 0; i < n * n; ++i) work[i] = static_cast<double>(gram[i]);
      double* const values = order() + n;
      eigenvectors(n, work, values, values + n);
      sort(values);
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) basis[i * n + j] = static_cast<T>(work[at(j) * n + i]);
      }
    }
    // product is gram basis.
    void turn() const {
      double* const values = order() + n;
      std::fill_n(values, n, 0.0);
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          values[j] +=
              static_cast<double>(basis[i * n + j]) * static_cast<double>(product[i * n + j]);
        }
      }
      sort(values);
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t i = 0; i < n; ++i)
          work[j * n + i] = static_cast<double>(product[i * n + at(j)]);
      }
      orthonormal(n, work, values, [&](int64_t k, const double* q) {
        for (int64_t i = 0; i < n; ++i) basis[i * n + k] = static_cast<T>(q[i]);
      });
    }
  };

  template <class T>
  static void update(MatrixTeam<T>& team, const MatrixItem& item, const StepSetting& s,
                     const SpanPlace<T>& place, T* kept) {
    const int64_t rows = item.rows, cols = item.cols, size = item.size();
    const int64_t l = left(item, s), r = right(item, s);
    T* const v = kept;
    T* const g = team.scratch;
    T* const products = g + 4 * size;
    double* const work = team.work;
    const Side<T> sides[2] = {{l, v + size, v + size + l * l, products, work},
                              {r, v + size + 2 * l * l, v + size + 2 * l * l + r * r,
                               products + l * l, work + (l == 0 ? 0 : l * l + 4 * l)}};
    T* const w = place.weights;
    T* const m = place.states[0];
    const T sign = static_cast<T>(s.sign), take1 = static_cast<T>(1 - s[kBeta1]);
    team.for_rows(rows, [&](int64_t i) {
      item.for_elements(i, [&](int64_t at, int64_t j) {
        const T own = g[i * cols + j] = sign * place.gradients[at];
        if (s.step == 1) return;
        m[at] += take1 * (own - m[at]);
        g[size + i * cols + j] = m[at];
      });
    });
    if (s.step > 1) {
      T* const sums = products + l * l + r * r;
      const T* const u = step(team, item, s, sides, v, sums);
      const int64_t t = s.step - 1;
      double rate = s.lr;
      if (s[kCorrects] != 0) {
        rate *= __builtin_sqrt(1 - base::power(s[kBeta2], t)) / (1 - base::power(s[kBeta1], t));
      }
      if (s[kNormalizes] != 0) {
        rate /= __builtin_sqrt(sum_of(sums, rows) / static_cast<double>(size)) + s[kEps];
      }
      const T by = static_cast<T>(rate), shrink = static_cast<T>(1 - s.lr * s[kWeightDecay]);
      team.for_rows(rows, [&](int64_t i) {
        item.for_elements(
            i, [&](int64_t at, int64_t j) { w[at] = shrink * (w[at] - by * u[i * cols + j]); });
      });
    }
    precondition(team, item, s, sides, v);
  }

  // What a step goes along; the sums are the squares of its rows.
  template <class T>
  static const T* step(MatrixTeam<T>& team, const MatrixItem& item, const StepSetting& s,
                       const Side<T> (&sides)[2], T* v, T* sums) {
    const int64_t rows = item.rows, cols = item.cols, size = item.size();
    T* const g = team.scratch;
    T* spare[3] = {g + size, g + 2 * size, g + 3 * size};
    const T take2 = static_cast<T>(1 - s[kBeta2]), eps = static_cast<T>(s[kEps]);
    const T* const turned = rotated(team, item, sides, false, g, spare[1], spare[2]);
    team.for_rows(rows, [&](int64_t i) {
      for (int64_t at = i * cols; at < (i + 1) * cols; ++at) {
        v[at] += take2 * (turned[at] * turned[at] - v[at]);
      }
    });
    T* const mean = rotated(team, item, sides, false, spare[0], spare[1], spare[2]);
    team.for_rows(rows, [&](int64_t i) {
      for (int64_t at = i * cols; at < (i + 1) * cols; ++at) mean[at] /= std::sqrt(v[at]) + eps;
    });
    for (T*& each : spare) {
      if (each == mean) std::swap(each, spare[2]);
    }
    const T* const u = rotated(team, item, sides, true, mean, spare[0], spare[1]);
    team.for_rows(rows, [&](int64_t i) {
      sums[i] = ops::sum_squares<T>({u + i * cols, static_cast<size_t>(cols)});
    });
    return u;
  }

  // Q_L^T x Q_R, or back Q_L x Q_R^T.
  template <class T>
  static T* rotated(MatrixTeam<T>& team, const MatrixItem& item, const Side<T> (&sides)[2],
                    bool back, T* x, T* first, T* second) {
    const int64_t rows = item.rows, cols = item.cols;
    if (sides[0].n > 0) {
      team.multiply(rows, cols, rows, {sides[0].basis, !back}, {x}, first);
      x = first;
    }
    if (sides[1].n > 0) {
      team.multiply(rows, cols, cols, {x}, {sides[1].basis, back}, second);
      x = second;
    }
    return x;
  }

  template <class T>
  static void precondition(MatrixTeam<T>& team, const MatrixItem& item, const StepSetting& s,
                           const Side<T> (&sides)[2], T* v) {
    const T* const g = team.scratch;
    const double beta = s[kShampooBeta] < 0 ? s[kBeta2] : s[kShampooBeta];
    const T take = static_cast<T>(1 - beta);
    for (const Side<T>& side : sides) {
      if (side.n == 0) continue;
      const bool is_right = &side == sides + 1;
      team.multiply(side.n, side.n, is_right ? item.rows : item.cols, {g, is_right}, {g, !is_right},
                    side.product);
      team.for_rows(side.n, [&](int64_t i) {
        for (int64_t at = i * side.n; at < (i + 1) * side.n; ++at) {
          side.gram[at] += take * (side.product[at] - side.gram[at]);
        }
      });
    }
    const bool begins = s.step == 1;
    if (!begins && (s.step - 1) % static_cast<int64_t>(s[kFrequency]) != 0) return;
    for (const Side<T>& side : sides) {
      if (side.n > 0 && !begins) {
        team.multiply(side.n, side.n, side.n, {side.gram}, {side.basis}, side.product);
      }
    }
    team.queue.for_each(team.worker, 2, [&](int64_t index) {
      const Side<T>& side = sides[index];
      if (side.n > 0) begins ? side.begin() : side.turn();
    });
    team.meet();
    if (begins) return;
    const int64_t cols = item.cols;
    T* const sorted = team.scratch;  // the gradient is no longer needed
    team.for_rows(item.rows, [&](int64_t i) {
      const int64_t from = sides[0].n > 0 ? sides[0].at(i) : i;
      for (int64_t j = 0; j < cols; ++j) {
        sorted[i * cols + j] = v[from * cols + (sides[1].n > 0 ? sides[1].at(j) : j)];
      }
    });
    team.for_rows(item.rows,
                  [&](int64_t i) { std::copy_n(sorted + i * cols, cols, v + i * cols); });
  }

  template <class T>
  using rule = MatrixRule<T, soap>;
};

}  // namespace gd::optim::rules

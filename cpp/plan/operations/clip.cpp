#include "plan/operations/clip.hpp"

#include <algorithm>
#include <cmath>

#include "base/panels.hpp"

namespace gd::plan {

namespace {

// Elements that a worker takes at a time, as in ops/elementwise.cpp; of units a panel's.
constexpr int64_t kGrain = 4096;
constexpr int64_t kUnits = base::kPanel;

template <class T>
Cost clip_cost(int64_t size) {
  Cost cost;
  cost.flops_fixed = 3 * size;  // squares, their sum, the scaling
  cost.bytes_fixed = 3 * size * static_cast<int64_t>(sizeof(T));
  return cost;
}

// The Euclidean norm of what visit(f) calls f with; also where squares are beyond T.
template <class T, class Visit>
double norm_of(double squares, Visit&& visit) {
  if (std::isfinite(squares)) return std::sqrt(squares);
  double largest = 0;
  visit([&](T x) {
    const double value = std::abs(static_cast<double>(x));
    largest = value > largest || std::isnan(value) ? value : largest;
  });
  if (!(largest > 0) || std::isinf(largest)) return largest;
  double scaled = 0;
  visit([&](T x) {
    const double value = static_cast<double>(x) / largest;
    scaled += value * value;
  });
  return largest * std::sqrt(scaled);
}

}  // namespace

template <class T>
Clip<T>::Clip(T* gradients, const T* weights, const ops::Seen& seen, const ClipOptions& options,
              int max_workers)
    : Operation<T>(Zone::kClip, Zone::kUpdate, -1, max_workers, clip_cost<T>(seen.most_elements())),
      gradients_(gradients),
      weights_(weights),
      seen_(seen),
      options_(options),
      state_(seen.end(), max_workers),
      scale_queue_(max_workers) {
  if (options_.by == ClipBy::groups) {
    cut(kGrain, false);
    sums_.resize(pieces_.size());
    for (const ClipPart& part : options_.parts) {
      if (part.group >= norms_.size()) norms_.resize(part.group + 1);
    }
  }
  if (options_.by == ClipBy::units) cut(kUnits, true);
}

template <class T>
void Clip<T>::cut(int64_t grain, bool by_units) {
  for (size_t p = 0; p < options_.parts.size(); ++p) {
    const ClipPart& part = options_.parts[p];
    const int64_t units = part.units == ClipPart::Units::one    ? 1
                          : part.units == ClipPart::Units::rows ? part.rows
                                                                : part.cols;
    const int64_t count = by_units ? units : part.size();
    for (int64_t begin = 0; begin < count; begin += grain) {
      pieces_.push_back({p, begin, std::min(begin + grain, count)});
    }
  }
}

template <class T>
void Clip<T>::reset() {
  Operation<T>::reset();
  state_.reset();
  scale_queue_.reset();
}

template <class T>
void Clip<T>::work(ops::Worker& worker, const Batch<T>&) {
  if (options_.leaves != nullptr && *options_.leaves) return;
  const auto pieces = static_cast<int64_t>(pieces_.size());
  switch (options_.by) {
    case ClipBy::none:
      return;
    case ClipBy::whole:
      ops::clip_norm(worker, state_, options_.limit, gradients_, seen_);
      return;
    case ClipBy::groups:
      return clip_groups(worker);
    case ClipBy::units:
      this->queue().for_each(worker, pieces, [&](int64_t i) {
        const Piece& piece = pieces_[static_cast<size_t>(i)];
        clip_units(options_.parts[piece.part], piece.begin, piece.end);
      });
      return;
    case ClipBy::value:
      const T most = static_cast<T>(options_.limit);
      this->queue().for_each(worker, (seen_.end() + kGrain - 1) / kGrain, [&](int64_t piece) {
        seen_.for_runs({piece * kGrain, (piece + 1) * kGrain}, [&](parallel::Range run) {
          for (int64_t i = run.begin; i < run.end; ++i) {  // NaN stays
            gradients_[i] = std::clamp(gradients_[i], -most, most);
          }
        });
      });
  }
}

template <class T>
void Clip<T>::clip_groups(ops::Worker& worker) {
  const auto pieces = static_cast<int64_t>(pieces_.size());
  const auto span_of = [&](const Piece& piece) {
    const int64_t begin = options_.parts[piece.part].offset + piece.begin;
    return std::span<T>(gradients_ + begin, static_cast<size_t>(piece.end - piece.begin));
  };
  this->queue().for_each(worker, pieces, [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    sums_[at] = static_cast<double>(ops::sum_squares(std::span<const T>(span_of(pieces_[at]))));
  });
  worker.barrier();
  if (worker.index() == 0) {
    std::ranges::fill(norms_, 0);
    for (size_t i = 0; i < pieces_.size(); ++i) {
      norms_[options_.parts[pieces_[i].part].group] += sums_[i];
    }
    for (size_t g = 0; g < norms_.size(); ++g) {
      norms_[g] = norm_of<T>(norms_[g], [&](auto&& see) {
        for (const Piece& piece : pieces_) {
          if (options_.parts[piece.part].group != g) continue;
          for (const T x : span_of(piece)) see(x);
        }
      });
    }
  }
  worker.barrier();
  scale_queue_.for_each(worker, pieces, [&](int64_t i) {
    const Piece& piece = pieces_[static_cast<size_t>(i)];
    const double norm = norms_[options_.parts[piece.part].group];
    const T factor = static_cast<T>(options_.limit / (norm + 1e-6));
    if (factor >= 1) return;  // NaN is not
    for (T& x : span_of(piece)) x *= factor;
  });
}

// A few units of a matrix, or a whole vector, by one worker: each sum in the order of the inputs.
template <class T>
void Clip<T>::clip_units(const ClipPart& part, int64_t begin, int64_t end) {
  using Units = ClipPart::Units;
  T* const g = gradients_ + part.offset;
  const T* const w = weights_ + part.offset;
  const int64_t count = end - begin;
  // Calls f(unit, place) for each element, so that those next to each other follow.
  const auto for_elements = [&](auto&& f) {
    if (part.units == Units::one) {
      for (int64_t i = 0; i < part.size(); ++i) f(0, i);
      return;
    }
    const bool by_rows = part.units == Units::rows;
    const int64_t first_row = by_rows ? begin : 0, last_row = by_rows ? end : part.rows;
    const int64_t first_col = by_rows ? 0 : begin, last_col = by_rows ? part.cols : end;
    for (int64_t col = first_col; col < last_col;) {
      const int64_t most = part.in_panels ? base::panel_begin(col) + base::kPanel : last_col;
      const int64_t until = std::min(most, last_col);
      for (int64_t row = first_row; row < last_row; ++row) {
        const int64_t at = part.in_panels ? base::panel_index(part.rows, part.cols, row, col)
                                          : row * part.cols + col;
        for (int64_t k = 0; k < until - col; ++k)
          f(by_rows ? row - begin : col + k - begin, at + k);
      }
      col = until;
    }
  };
  double own[kUnits] = {}, found[kUnits] = {};
  for_elements([&](int64_t unit, int64_t at) {
    const auto weight = static_cast<double>(w[at]), gradient = static_cast<double>(g[at]);
    own[unit] += weight * weight;
    found[unit] += gradient * gradient;
  });
  T factors[kUnits];
  bool clips = false;
  for (int64_t unit = 0; unit < count; ++unit) {
    const auto of = [&](const T* flat, double squares) {
      return norm_of<T>(squares, [&](auto&& see) {
        for_elements([&](int64_t each, int64_t at) {
          if (each == unit) see(flat[at]);
        });
      });
    };
    const double most = options_.limit * std::max(of(w, own[unit]), options_.eps);
    const double norm = of(g, found[unit]);
    const bool keeps = norm < most;  // NaN does not
    factors[unit] = keeps ? T{1} : static_cast<T>(most / std::max(norm, 1e-6));
    clips = clips || !keeps;
  }
  if (!clips) return;
  for_elements([&](int64_t unit, int64_t at) { g[at] *= factors[unit]; });
}

template class Clip<float>;
template class Clip<double>;

}  // namespace gd::plan

#pragma once

// Vectors of all weights that train, as they lie in flat buffers. Sums are in double over 16 lanes
// in a fixed tree, a piece at a time, and pieces are added in order: the bits depend on the shapes
// of the parameters and on nothing else.

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/function_ref.hpp"
#include "optim/rule.hpp"

namespace gd::optim {

inline constexpr int64_t kSolverPiece = 4096;

// x[0] y[0] + x[1] y[1] + ... of one piece.
template <class T>
double dot_piece(int64_t size, const T* x, const T* y) {
  constexpr int64_t kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) {
      lanes[j] += static_cast<double>(x[i + j]) * static_cast<double>(y[i + j]);
    }
  }
  for (int64_t j = 0; i + j < size; ++j) {
    lanes[j] += static_cast<double>(x[i + j]) * static_cast<double>(y[i + j]);
  }
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

// The same of any length.
template <class T>
double dot(int64_t size, const T* x, const T* y) {
  double sum = 0;
  for (int64_t i = 0; i < size; i += kSolverPiece) {
    sum += dot_piece(std::min(kSolverPiece, size - i), x + i, y + i);
  }
  return sum;
}

class Vectors {
 public:
  struct Piece {
    int64_t begin;  // in a flat buffer
    int64_t end;
    int64_t place;  // among the weights that train, counted without gaps
    int group;
    int64_t size() const { return end - begin; }
  };

  Vectors() = default;
  explicit Vectors(std::span<const ParameterSpan> spans) {
    for (const ParameterSpan& span : spans) {
      for (int64_t at = 0; at < span.size(); at += kSolverPiece) {
        const int64_t size = std::min(kSolverPiece, span.size() - at);
        pieces_.push_back({span.offset + at, span.offset + at + size, size_, span.group});
        size_ += size;
      }
    }
    sums_.resize(pieces_.size());
  }

  int64_t size() const { return size_; }
  const std::vector<Piece>& pieces() const { return pieces_; }

  // Calls f(piece) for all of them, on that many threads where that pays.
  void each(int threads, base::FunctionRef<void(const Piece&)> f) const {
    const auto count = static_cast<int64_t>(pieces_.size());
    const int workers = workers_of(threads);
    if (workers == 1) {
      for (const Piece& piece : pieces_) f(piece);
      return;
    }
    ops::run_collective(*parallel::acquire_team(workers), [&](ops::Worker& worker) {
      const parallel::Range own = parallel::split(count, worker.count(), worker.index());
      for (int64_t i = own.begin; i < own.end; ++i) f(pieces_[static_cast<size_t>(i)]);
    });
  }

  // The sum over all pieces of f(piece), in order.
  template <class F>
  double sum(int threads, F&& f) {
    each(threads, [&](const Piece& piece) {
      sums_[static_cast<size_t>(&piece - pieces_.data())] = f(piece);
    });
    double total = 0;
    for (const double each : sums_) total += each;
    return total;
  }

  template <class T>
  double dot(int threads, const T* x, const T* y) {
    return sum(threads,
               [&](const Piece& p) { return dot_piece(p.size(), x + p.begin, y + p.begin); });
  }

  // The largest |x|; NaN where there is one.
  template <class T>
  double largest(const T* x) const {
    double most = 0;
    for (const Piece& p : pieces_) {
      for (int64_t i = p.begin; i < p.end; ++i) {
        const double value = std::abs(static_cast<double>(x[i]));
        most = value > most || std::isnan(value) ? value : most;
      }
    }
    return most;
  }

  template <class T>
  void copy(int threads, const T* from, T* to) const {
    each(threads, [&](const Piece& p) { std::copy_n(from + p.begin, p.size(), to + p.begin); });
  }

  // to[i] = f(i), element by element.
  template <class T, class F>
  void map(int threads, T* to, F&& f) const {
    each(threads, [&](const Piece& p) {
      for (int64_t i = p.begin; i < p.end; ++i) to[i] = f(i);
    });
  }

 private:
  int workers_of(int threads) const {
    constexpr int64_t kLeast = 32 * kSolverPiece;  // a worker's share, against waking it
    return static_cast<int>(std::clamp<int64_t>(size_ / kLeast, 1, threads));
  }

  std::vector<Piece> pieces_;
  std::vector<double> sums_;
  int64_t size_ = 0;
};

}  // namespace gd::optim

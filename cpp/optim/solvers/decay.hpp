#pragma once

// weight_decay / 2 |w|^2 beside the loss, by group.

#include "optim/solvers/vectors.hpp"

namespace gd::optim {

class Decay {
 public:
  explicit Decay(std::vector<double> of_groups) : of_groups_(std::move(of_groups)) {
    for (const double each : of_groups_) any_ = any_ || each != 0;
  }

  bool any() const { return any_; }
  double of(const Vectors::Piece& piece) const {
    return of_groups_[static_cast<size_t>(piece.group)];
  }

  template <class T>
  double penalty(Vectors& vectors, int threads, const T* w) const {
    if (!any_) return 0;
    return 0.5 * vectors.sum(threads, [&](const Vectors::Piece& p) {
      return of(p) == 0 ? 0.0 : of(p) * dot_piece(p.size(), w + p.begin, w + p.begin);
    });
  }

 private:
  std::vector<double> of_groups_;
  bool any_ = false;
};

}  // namespace gd::optim

#pragma once

#include <span>
#include <vector>

#include "plan/operation.hpp"

namespace gd::plan {

// What is limited: nothing; the norm of the whole gradient, of some parameters together, of the
// weights of each unit (as a share of theirs), or each number.
enum class ClipBy : uint8_t { none, whole, groups, units, value };

// A matrix in the flat buffers as it lies, or a vector, for clipping by groups and units.
struct ClipPart {
  int64_t offset = 0;
  int64_t rows = 1;
  int64_t cols = 0;
  bool in_panels = false;
  // What of it belongs to one unit.
  enum class Units : uint8_t { one, rows, cols };
  Units units = Units::one;
  size_t group = 0;
  int64_t size() const { return rows * cols; }
};

struct ClipOptions {
  ClipBy by = ClipBy::none;
  double limit = 0;
  double eps = 0;  // of units: what their norm counts at least
  std::span<const ClipPart> parts;
  // Where it comes out true, the gradient is left as it is; null: never.
  const bool* leaves = nullptr;
};

// Scales the whole gradient, in a flat buffer, so that it keeps within a limit.
template <class T>
class Clip final : public Operation<T> {
 public:
  Clip(T* gradients, const T* weights, const ops::Seen& seen, const ClipOptions& options,
       int max_workers);
  void reset() override;
  bool meets(const Batch<T>& /*batch*/, int /*workers*/) const override { return true; }

 private:
  void work(ops::Worker& worker, const Batch<T>& batch) override;
  void clip_groups(ops::Worker& worker);
  void clip_units(const ClipPart& part, int64_t begin, int64_t end);

  struct Piece {
    size_t part;
    int64_t begin;  // elements of it, or units
    int64_t end;
  };
  void cut(int64_t grain, bool by_units);

  T* gradients_;
  const T* weights_;
  ops::Seen seen_;
  ClipOptions options_;
  ops::ClipState state_;
  ops::TileQueue scale_queue_;
  std::vector<Piece> pieces_;
  std::vector<double> sums_;   // of the squares of each piece
  std::vector<double> norms_;  // of each group
};

}  // namespace gd::plan

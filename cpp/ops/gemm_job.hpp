#pragma once

// The loops of a matmul over one macro tile of C: blocks that fit the caches, what is packed and
// what is read in place, and the register tiles within.

#include <algorithm>
#include <span>

#include "base/panels.hpp"
#include "ops/gemm_units.hpp"
#include "parallel/partition.hpp"

namespace gd::ops {

using base::kPanel;
using kernels::Chain;
using parallel::Range;

// A strided B of no more bytes than L1 has is not worth copying.
inline constexpr int64_t kMostBytesInPlace = 32 << 10;

// Of an A whose columns are contiguous a tile reads a few elements of each row. Where rows lie this
// far apart a copy pays, if so many columns of C read it.
inline constexpr int64_t kFarRows = 2048;
inline constexpr int64_t kLeastColumnsOfFarRows = 512;
// A block of B of more bytes does not stay in L2 beside A: its panels are fetched ahead.
inline constexpr int64_t kMostBytesNear = 256 << 10;
// A C of more bytes is fetched again and written back for each block of the depth.
inline constexpr int64_t kMostBytesOfNearC = 1 << 20;

// One macro tile of C, rows x columns, with everything its loops need.
template <class T, class Unit>
class TileJob {
 public:
  using Packed = typename Unit::Packed;
  using Tile = typename Unit::Tile;

  // One worker's buffers.
  struct Buffers {
    Packed* a;
    Packed* b;
    T* piece;
  };

  // Over all of k, or a part of it that begins with a chain of its own. Inlined with what follows:
  // a small product takes no longer than handing this over would.
  [[gnu::always_inline]] TileJob(const Unit& unit, const GemmProblem<T>& problem, Range rows,
                                 Range columns, const Buffers& buffers, Range depths)
      : unit_(unit),
        p_(problem),
        rows_(rows),
        columns_(columns),
        depths_(depths),
        buffers_(buffers),
        part_(problem.part > 0            ? problem.part
              : problem.k > kLongestChain ? kLongPart
                                          : 0) {
    const GemmBlocks& blocks = unit_.blocks;
    step_ = unit_.depth(p_.m, p_.k);
    cut_ = blocks.cut;
    if (part_ > 0) {
      cut_ = Unit::cuts_parts ? std::min(cut_, part_) : part_;
      // Several parts a block pay where C is far. A cut begins at a step of the unit within what is
      // packed.
      const bool far_c =
          Unit::cuts_parts || (p_.c_layout == Layout::strided &&
                               p_.m * p_.n * static_cast<int64_t>(sizeof(T)) > kMostBytesOfNearC);
      const bool several = p_.k > cut_ && step_ > cut_ && cut_ % unit_.depth_step == 0 && far_c;
      step_ = several ? step_ / cut_ * cut_ : cut_;
    }
    // A copy pays when it is read often enough: B once for every mr rows, A for every nr columns.
    const int64_t b_bytes = p_.k * p_.b_row * static_cast<int64_t>(sizeof(T));
    copy_b_ = !Unit::reads_in_place || p_.b_layout == Layout::panels_transposed ||
              (p_.b_layout == Layout::strided &&
               (p_.b_col != 1 || (rows.size() > 2 * blocks.mr && b_bytes > kMostBytesInPlace)));
    // Rows that lie a large power of two apart evict each other from L1; others are read in place.
    const int64_t row_bytes = std::max(p_.a_row, p_.a_col) * static_cast<int64_t>(sizeof(T));
    const bool far_rows =
        p_.a_col != 1 && row_bytes >= kFarRows && columns.size() >= kLeastColumnsOfFarRows;
    const bool in_place = (p_.a_col == 1 || p_.a_row == 1) && row_bytes % 1024 != 0 && !far_rows;
    copy_a_ = !Unit::reads_in_place || (!in_place && columns.size() > 4 * blocks.nr);
    const Epilogue<T>& e = p_.epilogue;
    finishes_within_ = Unit::finishes_tiles && e.kind != Epilogue<T>::Kind::none &&
                       e.activation->in_tile &&
                       (e.kind == Epilogue<T>::Kind::backward || e.output == p_.c);
    // Else C goes on from what is there.
    piece_apart_ = p_.consume != nullptr && p_.k <= step_;
  }

  [[gnu::always_inline]] void run() {
    const int64_t mc = unit_.rows(std::min(p_.k, step_));
    const int blocks = rows_.size() <= mc ? 1 : static_cast<int>(ceil_div(rows_.size(), mc));
    for_each_pass([&](Range columns, int64_t k0, int64_t depth) {
      if (copy_b_) pack_b(columns, columns, k0, depth);
      if (blocks == 1) {
        return multiply(rows_, columns, k0, depth, columns.begin == columns_.begin);
      }
      for (int block = 0; block < blocks; ++block) {
        const Range rows = parallel::split(rows_.size(), blocks, block, unit_.blocks.mr);
        multiply({rows_.begin + rows.begin, rows_.begin + rows.end}, columns, k0, depth);
      }
    });
  }

  // The same by all workers together, each with a job of its own whose packed B is common to all.
  void run_shared(Worker& worker, TileQueue& queue, int row_blocks) {
    copy_b_ = !Unit::reads_in_place || p_.b_layout != Layout::panels;
    bool first = true;
    for_each_pass([&](Range columns, int64_t k0, int64_t depth) {
      if (!first) {
        worker.barrier();  // nobody reads the last pass's B any more
        if (worker.index() == 0) queue.reset();
      }
      first = false;
      const Range own = parallel::split(columns.size(), worker.count(), worker.index(), kPanel);
      if (copy_b_) pack_b(columns, {columns.begin + own.begin, columns.begin + own.end}, k0, depth);
      worker.barrier();
      const auto multiply_block = [&](int64_t block) {
        const Range rows =
            parallel::split(p_.m, row_blocks, static_cast<int>(block), unit_.blocks.mr);
        if (!rows.empty()) multiply(rows, columns, k0, depth);
        return std::max<int64_t>(rows.size(), 0) * columns.size();
      };
      queue.for_each(worker, row_blocks, multiply_block, p_.m * columns.size());
    });
  }

 private:
  // Calls pass(columns, k0, depth) for each block of B, in increasing k.
  template <class Pass>
  [[gnu::always_inline]] void for_each_pass(Pass&& pass) {
    const int64_t nc = unit_.blocks.nc;
    int64_t k0 = depths_.begin;
    do {  // once even for k = 0: C is then the bias
      const int64_t depth = std::min(step_, depths_.end - k0);
      last_ = k0 + depth >= p_.k;
      chain_ = k0 == depths_.begin ? (p_.accumulate ? Chain::add_part : Chain::start)
                                   : (part_ > 0 ? Chain::add_part : Chain::go_on);
      for (int64_t j0 = columns_.begin; j0 < columns_.end; j0 += nc) {
        pass(Range{j0, std::min(j0 + nc, columns_.end)}, k0, depth);
      }
      k0 += depth;
    } while (k0 < depths_.end);
  }

  // Columns `own` of a block, to where they lie in it; own.begin is whole panels into the block.
  void pack_b(Range block, Range own, int64_t k0, int64_t depth) {
    const int64_t nr = unit_.blocks.nr;
    const int64_t size = unit_.panel(depth, nr);
    Packed* const panels = buffers_.b + (own.begin - block.begin) / nr * size;
    // A few rows of B through all panels, then the next: rows are read from end to end.
    const int64_t rows =
        p_.b_layout == Layout::strided && p_.b_col == 1 ? Unit::rows_at_once : depth;
    for (int64_t k = 0; k < depth; k += rows) {
      const int64_t deep = std::min(rows, depth - k);
      Packed* panel = panels;
      for (int64_t j = own.begin; j < own.end; j += nr, panel += size) {
        const int64_t width = std::min(nr, own.end - j);
        Packed* const to = panel + k * unit_.row_of_b(width);
        if (p_.b_layout == Layout::panels_transposed) {
          pack_transposed_panels(j, width, k0, depth, to);
        } else if (p_.b_layout == Layout::panels) {
          const T* const from = p_.b + base::panel_index(p_.k, p_.n, k0, j);
          unit_.pack_b(deep, width, {from, base::panel_width(p_.n, j), 1}, to, size);
        } else {
          const T* const from = p_.b + (k0 + k) * p_.b_row + j * p_.b_col;
          unit_.pack_b(deep, width, {from, p_.b_row, p_.b_col}, to, size);
        }
      }
    }
  }

  // B is the transpose of a matrix (n, k) in panels, and k0 is a whole number of them.
  void pack_transposed_panels(int64_t j, int64_t width, int64_t k0, int64_t depth, Packed* to) {
    const int64_t nr = unit_.blocks.nr;
    const int64_t size = unit_.panel(depth, nr);
    const int64_t step = unit_.row_of_b(width) * kPanel;
    for (int64_t k = k0; k < k0 + depth; k += kPanel, to += step) {
      const int64_t deep = std::min(kPanel, k0 + depth - k);
      const T* const from = p_.b + base::panel_index(p_.n, p_.k, j, k);
      const int64_t next = k + kPanel < k0 + depth ? p_.n * kPanel : 0;
      unit_.pack_b(deep, width, {from, 1, base::panel_width(p_.k, k), next}, to, size);
    }
  }

  void pack_a(Range rows, int64_t height, int64_t k0, int64_t depth) {
    const int64_t size = unit_.panel(depth, height);
    Packed* to = buffers_.a;
    for (int64_t i = rows.begin; i < rows.end; i += height, to += size) {
      const T* const from = p_.a + i * p_.a_row + k0 * p_.a_col;
      const int64_t width = std::min(height, rows.end - i);
      unit_.pack_a(depth, width, {from, p_.a_col, p_.a_row}, to, height, size);
    }
  }

  // The register tiles of one cache block. B's panel stays in L1 or L2 while A's panels pass by.
  [[gnu::always_inline]] void multiply(Range rows, Range columns, int64_t k0, int64_t depth,
                                       bool packs_a = true) {
    const int64_t height = unit_.height(rows.size());
    if (copy_a_ && packs_a) pack_a(rows, height, k0, depth);
    const Block block{rows, columns, k0, depth, height};
    const bool far = depth * columns.size() * sizeof(Packed) > kMostBytesNear;
    depth <= cut_ && !far ? multiply_panels<true>(block) : multiply_panels<false>(block);
  }

  // Of the product, in tiles so high.
  struct Block {
    Range rows;
    Range columns;
    int64_t k0;
    int64_t depth;
    int64_t height;
  };

  // What a register tile takes of a block's depth.
  struct Cut {
    int64_t begin;
    int64_t size;
    bool first;
    bool last;
  };

  // Memory that is wanted soon, of which each tile fetches a part.
  struct Ahead {
    const Packed* next = nullptr;
    int64_t left = 0;
  };

  // Simple: without cuts, of what is near.
  template <bool Simple>
  [[gnu::noinline]] void multiply_panels(const Block& block) {
    Tile tile;
    unit_.start(tile, block.depth);
    const Range columns = block.columns;
    for (int64_t panel = columns.begin; panel < columns.end; panel += kPanel) {
      const int64_t end = std::min(panel + kPanel, columns.end);
      for (int64_t j = panel; j < end; j += unit_.blocks.nr) {
        tile.cols = static_cast<int>(std::min<int64_t>(unit_.blocks.nr, end - j));
        if constexpr (Simple) {
          Ahead none;
          multiply_cut<true>(tile, block, j, {0, block.depth, true, true}, none);
        } else {
          Ahead ahead = next_panel(block, j);
          for (int64_t k = 0; k < block.depth; k += cut_) {
            const Cut cut{k, std::min(cut_, block.depth - k), k == 0, k + cut_ >= block.depth};
            multiply_cut<false>(tile, block, j, cut, ahead);
          }
        }
      }
      if (last_ && p_.consume != nullptr) consume(block.rows, panel);
    }
  }

  // All rows of one cut. Between cuts the sums of a panel lie in a strip of their own, which
  // stays in L2, where rows of C may not.
  template <bool Simple>
  void multiply_cut(Tile& tile, const Block& block, int64_t j, const Cut& cut, Ahead& ahead) {
    const bool last = last_ && (Simple || cut.last);
    const bool finishes = last && p_.epilogue.kind != Epilogue<T>::Kind::none;
    unit_.set_depth(tile, cut.size);
    tile.chain = Simple || cut.first ? chain_ : part_ > 0 ? Chain::add_part : Chain::go_on;
    find_b(tile, block, j, cut.begin);
    find_c(tile, block.rows, j);
    if constexpr (!Simple) find_strip(tile, j, cut);
    tile.bias = last && p_.bias != nullptr ? p_.bias + j : nullptr;
    if (finishes) {
      finish_within(tile, block.rows.begin, j);
    } else if constexpr (Unit::finishes_tiles && !Simple) {
      tile.finish = kernels::Finish::none;
    }
    const int64_t height = block.height;
    const int64_t end = block.rows.end;
    const int64_t size_a = unit_.panel(block.depth, height);
    const Packed* panel_a = buffers_.a + cut.begin * height;
    for (int64_t i = block.rows.begin; i < end; i += height, panel_a += size_a) {
      tile.rows = static_cast<int>(std::min(height, end - i));
      if (copy_a_) {
        unit_.set_a(tile, panel_a, height);
      } else {
        read_a_in_place(tile, i, block.k0 + cut.begin);
      }
      if constexpr (!Simple) fetch(tile, ahead, cut.size);
      unit_.multiply(tile);
      if (finishes && !finishes_within_) finish(tile, i, j);
      next_rows<Simple>(tile, height);
    }
  }

  void fetch(Tile& tile, Ahead& ahead, int64_t depth) const {
    tile.ahead = nullptr;
    if (ahead.left <= 0) return;
    tile.ahead = ahead.next;
    ahead.next += unit_.fetched(depth);
    ahead.left -= unit_.fetched(depth);
  }

  // B's next panel in the block.
  Ahead next_panel(const Block& block, int64_t j) const {
    const int64_t next = j + unit_.blocks.nr;
    if (next >= block.columns.end) return {};
    if (copy_b_) {
      const int64_t size = unit_.panel(block.depth, unit_.blocks.nr);
      return {buffers_.b + (next - block.columns.begin) / unit_.blocks.nr * size, size};
    }
    if constexpr (Unit::reads_in_place) {
      if (p_.b_layout == Layout::panels) {
        return {p_.b + base::panel_index(p_.k, p_.n, block.k0, next),
                block.depth * base::panel_width(p_.n, next)};
      }
    }
    return {};
  }

  void read_a_in_place(Tile& tile, int64_t i, int64_t k0) const {
    if constexpr (Unit::reads_in_place) {
      tile.a = p_.a + i * p_.a_row + k0 * p_.a_col;
      tile.a_row = p_.a_row;
      tile.a_depth = p_.a_col;
    }
  }

  // From so deep in the block on.
  void find_b(Tile& tile, const Block& block, int64_t j, int64_t k) const {
    const int64_t nr = unit_.blocks.nr;
    if (copy_b_) {
      const int64_t panel = (j - block.columns.begin) / nr;
      unit_.set_b(
          tile, tile.cols,
          buffers_.b + panel * unit_.panel(block.depth, nr) + k * unit_.row_of_b(tile.cols));
    } else if constexpr (Unit::reads_in_place) {
      const bool panels = p_.b_layout == Layout::panels;
      const int64_t row = block.k0 + k;
      tile.b = panels ? p_.b + base::panel_index(p_.k, p_.n, row, j) : p_.b + row * p_.b_row + j;
      tile.b_depth = panels ? base::panel_width(p_.n, j) : p_.b_row;
    }
  }

  // Of the first rows.
  void find_c(Tile& tile, Range rows, int64_t j) const {
    if (p_.c_layout == Layout::strided) {
      tile.c = p_.c + rows.begin * p_.c_row + j;
      tile.ldc = p_.c_row;
    } else {
      const int64_t in_panel = j - base::panel_begin(j);
      tile.c = (piece_apart_ ? buffers_.piece : p_.c + piece_begin(rows, j)) + in_panel;
      tile.ldc = base::panel_width(p_.n, j);
    }
  }

  // The first cut reads C and the last one writes it; a piece apart is a strip already.
  void find_strip(Tile& tile, int64_t j, const Cut& cut) const {
    tile.before = nullptr;
    if (piece_apart_) return;
    T* const strip = buffers_.piece + (j - base::panel_begin(j));
    const int64_t width = base::panel_width(p_.n, j);
    tile.before = cut.first ? tile.c : strip;
    tile.ld_before = cut.first ? tile.ldc : width;
    if (cut.last) return;
    tile.c = strip;
    tile.ldc = width;
  }

  template <bool Simple>
  void next_rows(Tile& tile, int64_t height) const {
    tile.c += height * tile.ldc;
    if (!Simple && tile.before != nullptr) tile.before += height * tile.ld_before;
    if constexpr (Unit::finishes_tiles) tile.saved += height * tile.lds;
  }

  int64_t piece_begin(Range rows, int64_t j) const {
    return base::panel_index(p_.m, p_.n, rows.begin, base::panel_begin(j));
  }

  void consume(Range rows, int64_t panel) const {
    const int64_t begin = piece_begin(rows, panel);
    const T* const piece = piece_apart_ ? buffers_.piece : p_.c + begin;
    (*p_.consume)(begin,
                  {piece, static_cast<size_t>(rows.size() * base::panel_width(p_.n, panel))});
  }

  void finish_within(Tile& tile, int64_t i, int64_t j) const {
    if constexpr (Unit::finishes_tiles) {
      if (!finishes_within_) return;
      tile.finish = kernels::Finish::relu;
      if (p_.epilogue.kind == Epilogue<T>::Kind::forward) return;
      tile.finish = kernels::Finish::relu_gradient;
      tile.saved = p_.epilogue.saved + i * p_.epilogue.stride + j;
      tile.lds = p_.epilogue.stride;
    }
  }

  void finish(const Tile& tile, int64_t i, int64_t j) const {
    const Epilogue<T>& e = p_.epilogue;
    const int64_t at = i * e.stride + j;
    if (e.kind == Epilogue<T>::Kind::forward) {
      e.activation->forward(tile.rows, tile.cols, tile.c, tile.ldc, e.output + at, e.stride,
                            e.parameters);
    } else if (e.kind == Epilogue<T>::Kind::backward) {
      e.activation->backward(tile.rows, tile.cols, e.saved + at, e.stride, tile.c, tile.ldc,
                             e.parameters);
    }
  }

  const Unit& unit_;
  const GemmProblem<T>& p_;
  Range rows_;
  Range columns_;
  Range depths_;
  Buffers buffers_;
  int64_t part_;
  int64_t step_;  // of k, that is packed at once
  int64_t cut_;   // of that, which goes through the register tile at once
  bool copy_a_;
  bool copy_b_;
  bool piece_apart_;
  bool finishes_within_;
  bool last_ = false;
  Chain chain_ = Chain::start;
};

}  // namespace gd::ops
